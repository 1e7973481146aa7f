"""What a server is told when it starts: where it listens, and what it lets its clients ask for."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from memegen import models
from memegen.errors import UsageError
from memegen.generators.registry import generating_model

LOCAL_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
MOST_PORT = 65535
MB = 1_000_000  # bytes
PAGE = Path(__file__).with_name("page")  # the studio's


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Limits:
    """The most that clients get. What is beyond is refused in one line, before work is done."""

    photo_bytes: int = 25 * MB  # of one picture
    clip_bytes: int = 100 * MB  # of one video or animated picture
    json_bytes: int = MB // 2  # of a body that is no upload; YAML too
    message_bytes: int = 64_000  # of a preview's message
    pixels: int = 64_000_000  # of a picture that is read
    side: int = 8192  # of a picture that is read, in pixels
    clip_side: int = 4096  # of a video that is read, in pixels
    kept_side: int = 2048  # longest side at which photos are kept, in pixels
    frames: int = 600  # of what is made, and of a clip that is read
    seconds: float = 30.0  # likewise
    output_side: int = 1280  # longest side of what is made, in pixels
    photos: int = 32  # kept in memory; the longest unused goes first
    photo_seconds: float = 3600.0  # that a photo is kept unused
    prepared: int = 16  # photos ready to be painted at one size
    queue: int = 32  # jobs that wait
    queue_bytes: int = 512 * MB  # of the uploads that they wait with
    workers: int = field(default_factory=cores)  # jobs that run at a time
    job_seconds: float = 300.0  # that one job may run
    results: int = 64  # finished jobs that are kept
    result_bytes: int = 256 * MB  # of their files together
    result_seconds: float = 900.0  # that they are kept
    previews: int = 16  # open preview connections
    requests: int = 128  # requests at a time, those that wait for a job included
    body_seconds: float = 30.0  # that a client may take between two parts of a body
    grace_seconds: float = 10.0  # that running jobs get to end when the server does

    def __post_init__(self) -> None:
        for row in fields(self):
            value = getattr(self, row.name)
            least = 0 if row.name in ("queue", "grace_seconds") else 1e-9
            if not value >= least:
                raise UsageError(f"`{row.name}` {value:g}: must be more than 0")


@dataclass(frozen=True)
class Settings:
    """How one server runs."""

    host: str = LOCAL_HOST
    port: int = DEFAULT_PORT  # 0: any that is free
    token: str | None = None  # what clients must show; None: nothing
    names: tuple[str, ...] = ()  # by which clients may call this machine, beside IP addresses
    model: str = models.DEFAULT
    device: str = "auto"
    page: Path | None = None  # folder of the studio's page, served at `/`; None: none
    photo: Path | None = None  # that the studio begins with, instead of the sample
    verbose: bool = False  # a line of JSON on standard error for every request
    limits: Limits = field(default_factory=Limits)

    def check(self) -> None:
        """Raises UsageError."""
        if not 0 <= self.port <= MOST_PORT:
            raise UsageError(f"`port` {self.port}: must be 0..{MOST_PORT}")
        if self.token is not None and (not self.token or not self.token.isascii()):
            raise UsageError("`token`: must be some ASCII characters")
        if self.token is not None and not all("!" <= c <= "~" for c in self.token):
            raise UsageError("`token`: must have no spaces")
        if not self.host:
            raise UsageError("`host`: is empty")
        if self.page is not None and not (self.page / "index.html").is_file():
            raise UsageError(f"{self.page}: the studio's page is missing; install memegen again")
        generating_model(self.model)

    @property
    def open_to_others(self) -> bool:
        """Whether other machines can reach it."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    def on(self, port: int) -> Settings:
        """The same on another port."""
        return replace(self, port=port)
