"""The server as its clients see it: live previews, and many clients at once; prints JSON.

    python benchmarks/serve.py [--photo PHOTO] [--side 512] [--clients 50] [--queue 32]
                               [--commands 6] [--drag 5] [--jobs 2] [--model MODEL]

preview  milliseconds from sending an expression to having its picture: one after the other, and
         while a slider is dragged (a message every 1/60 s for `--drag` seconds); pictures a second;
         processor milliseconds a picture, which other programs of the machine do not change
beside   the same while `--jobs` clients have animations made all the time, and how many they got
clients  `--clients` at once, each of which wants one animation and tries again where it is refused
         (429) after the seconds that it is told: seconds, animations a second, refusals, lost ones,
         memory of the server (Linux); beside `memegen animate` of the same, `--commands` of them,
         as many at a time as there are cores. `--clients 0` leaves all of it out, `--commands 0`
         the commands
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from speed import SAMPLE

from memegen import models, recipes
from memegen.serve.settings import Limits, cores

MESSAGES_A_SECOND = 60  # of a slider that is dragged
WARM = 5  # first previews, which are not counted
ONE_BY_ONE = 100  # previews that are waited for
SETTLED = 2.0  # seconds after which jobs run
PATIENCE = 600.0  # seconds that a client tries
SIDES = (16, 8192)  # pixels of a preview, as the server takes them
SIZES = (16, Limits().output_side)  # pixels of an animation, likewise
MOST = 1000  # clients, jobs that wait, or commands


@dataclass(frozen=True)
class Previews:
    """Milliseconds from an expression to its picture."""

    first_ms: float  # the photo is prepared
    median_ms: float
    p95_ms: float
    processor_ms: float  # of the server, a picture
    dragged_median_ms: float  # of those that were painted
    dragged_p95_ms: float
    pictures_a_second: float  # while dragged
    skipped: int  # messages that newer ones replaced
    bytes: int  # of a picture


@dataclass(frozen=True)
class Commands:
    """Command lines, as many at a time as there are cores."""

    seconds: float  # each, of all that they took
    a_second: float
    processor_s: float  # each


@dataclass(frozen=True)
class Clients:
    """Many clients at once, beside as many commands."""

    clients: int
    queue: int
    workers: int
    seconds: float
    a_second: float
    refused: int  # answers 429
    lost: int  # clients that got neither an animation nor a reason
    other_answers: dict[str, int]  # by status
    server_peak_mb: float
    server_processor_s: float  # an animation
    commands: Commands | None  # the same without a server, where it was asked for
    throughput_beside_commands: float | None


class Server:
    """`memegen serve` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    @property
    def processor_seconds(self) -> float:
        """That it used so far (Linux)."""
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks = sum(int(stat[i]) for i in (11, 12, 13, 14))  # its children's, too
            return float(ticks) / os.sysconf("SC_CLK_TCK")
        return float("nan")

    @property
    def peak_mb(self) -> float:
        """The most memory that it had (Linux)."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return float(line.split()[1]) / 1e3
        return float("nan")


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    """A server on a free port, ended after the block."""
    command = [sys.executable, "-m", "memegen", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            if not line.startswith("serving at "):
                raise SystemExit(f"no server: {line}")
            yield Server(process, line.split()[2].rstrip(";"))
        finally:
            process.terminate()


def expression(step: int) -> dict[str, float]:
    """What a slider asks for at one step of its way."""
    share = 0.5 - 0.5 * np.cos(step / 15)
    return {"AU12": round(5 * share, 3), "AU25": round(2 * share, 3), "AU51": round(share, 3)}


def previews(server: Server, photo: Path, side: int, drag: float) -> Previews:
    """Time live previews of a photo."""
    import httpx
    from websockets.sync.client import connect

    sent = httpx.post(f"{server.address}/photos", files={"photo": photo.read_bytes()}, timeout=60)
    if sent.is_error:
        raise SystemExit(f"{photo}: {sent.json()['error']}")
    stored = sent.json()["id"]
    address = server.address.replace("http", "ws", 1)
    with connect(f"{address}/photos/{stored}/preview", compression=None) as socket:

        def message(seq: int) -> str:
            return json.dumps({"seq": seq, "expression": expression(seq), "side": side})

        waits, size = [], 0
        for seq in range(WARM + ONE_BY_ONE):
            if seq == WARM:
                used = server.processor_seconds
            began = time.perf_counter()
            socket.send(message(seq))
            size = len(socket.recv())
            waits.append(1e3 * (time.perf_counter() - began))
        used = server.processor_seconds - used
        times: dict[int, float] = {}
        dragged: list[float] = []
        last = round(drag * MESSAGES_A_SECOND) - 1

        def answers() -> None:
            while True:
                seq = struct.unpack(">I", socket.recv()[:4])[0]
                dragged.append(1e3 * (time.perf_counter() - times[seq]))
                if seq == last:
                    return

        reader = threading.Thread(target=answers)
        reader.start()
        began = time.perf_counter()
        for seq in range(last + 1):
            time.sleep(max(0.0, began + seq / MESSAGES_A_SECOND - time.perf_counter()))
            times[seq] = time.perf_counter()
            socket.send(message(seq))
        reader.join()
        took = time.perf_counter() - began
    calm = np.array(waits[WARM:])
    return Previews(
        waits[0], float(np.median(calm)), float(np.percentile(calm, 95)), 1e3 * used / len(calm),
        float(np.median(dragged)), float(np.percentile(dragged, 95)), len(dragged) / took,
        last + 1 - len(dragged), size,
    )  # fmt: skip


def one_client(address: str, data: bytes, fields: dict[str, str]) -> tuple[int, int]:
    """Ask until there is an answer that is not 429: its status (0: lost), and the refusals."""
    import httpx

    refused, until = 0, time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            answer = httpx.post(
                f"{address}/animate", files={"photo": data}, data=fields, timeout=PATIENCE
            )
        except httpx.HTTPError:
            return 0, refused
        if answer.status_code != 429:
            return answer.status_code if answer.content else 0, refused
        refused += 1
        time.sleep(float(answer.headers["retry-after"]))
    return 0, refused


def together(server: Server, photo: Path, count: int, fields: dict[str, str]) -> dict[str, float]:
    """Many clients at once; nothing of none."""
    if count == 0:
        return {}
    data, used = photo.read_bytes(), server.processor_seconds
    one_client(server.address, data, fields)  # the first one's fonts and pages
    began = time.perf_counter()
    with ThreadPoolExecutor(count) as threads:
        found = list(threads.map(lambda _: one_client(server.address, data, fields), range(count)))
    seconds = time.perf_counter() - began
    statuses = [status for status, _ in found]
    return {
        "seconds": seconds,
        "refused": sum(refused for _, refused in found),
        "lost": statuses.count(0),
        "done": statuses.count(200),
        "processor": (server.processor_seconds - used) / (count + 1),
    } | {str(s): statuses.count(s) for s in set(statuses) - {0, 200}}


def beside_jobs(server: Server, asked: argparse.Namespace) -> tuple[Previews, float]:
    """Previews while clients want animations all the time; and animations a second meanwhile."""
    data, over = asked.photo.read_bytes(), threading.Event()

    def loop() -> list[float]:
        """When each was there."""
        ends = []
        while not over.is_set():
            status, _ = one_client(server.address, data, fields_of(asked))
            ends += [time.perf_counter()] if status == 200 else []
        return ends

    with ThreadPoolExecutor(asked.jobs) as threads:
        looping = [threads.submit(loop) for _ in range(asked.jobs)]
        time.sleep(SETTLED)
        began = time.perf_counter()
        seen = previews(server, asked.photo, asked.side, asked.drag)
        ended = time.perf_counter()
        over.set()
        done = [end for loops in looping for end in loops.result() if began < end]
    return seen, len(done) / (max(done, default=ended) - began)


def commands(photo: Path, count: int, fields: dict[str, str], model: str) -> Commands:
    """So many `memegen animate`, as many at a time as there are cores."""
    options = [word for key, value in fields.items() for word in (f"--{key}", value)]

    def run(number: int, folder: str) -> None:
        out = str(Path(folder) / f"{number}.gif")
        command = [sys.executable, "-m", "memegen", "-q", "animate", str(photo), "-o", out]
        subprocess.run([*command, "--model", model, *options], check=True, capture_output=True)

    before = os.times()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(cores()) as threads:
        began = time.perf_counter()
        list(threads.map(lambda n: run(n, folder), range(count)))
        seconds = time.perf_counter() - began
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return Commands(seconds / count, count / seconds, used / count)


def of_many(asked: argparse.Namespace, found: dict[str, float], peak: float) -> Clients:
    """What `together` found, beside commands where those are asked for."""
    plain = None
    if asked.commands:
        plain = commands(asked.photo, asked.commands, fields_of(asked), asked.model)
    rate = found["done"] / found["seconds"]
    others = {key: int(value) for key, value in found.items() if key.isdigit()}
    return Clients(
        asked.clients, asked.queue, cores(), found["seconds"], rate, int(found["refused"]),
        int(found["lost"]), others, peak, found["processor"], plain,
        rate / plain.a_second if plain else None,
    )  # fmt: skip


def fields_of(asked: argparse.Namespace) -> dict[str, str]:
    """The form that clients send."""
    return {"recipe": asked.recipe, "size": str(asked.size), "format": "gif"}


def number(kind: type[float], least: float, most: float) -> Callable[[str], float]:
    """An argument's type: a number of a range, both ends included."""

    def read(text: str) -> float:
        with contextlib.suppress(ValueError):
            if least <= (value := kind(text)) <= most:
                return value
        raise argparse.ArgumentTypeError(f"{text}: must be a number, {least:g}..{most:g}")

    return read


def asked_for(words: list[str] | None = None) -> argparse.Namespace:
    """The arguments; what cannot be ends the program with a line that says so."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photo", type=Path, default=SAMPLE)
    parser.add_argument("--side", type=number(int, *SIDES), default=512)
    parser.add_argument("--clients", type=number(int, 0, MOST), default=50)
    parser.add_argument("--queue", type=number(int, 0, MOST), default=32)
    parser.add_argument("--commands", type=number(int, 0, MOST), default=6)
    parser.add_argument("--jobs", type=number(int, 0, MOST), default=2)
    parser.add_argument("--drag", type=number(float, 0.1, PATIENCE), default=5.0)
    parser.add_argument(
        "--size", type=number(int, *SIZES), default=256,
        help="longest side of the clients' animations",
    )  # fmt: skip
    parser.add_argument("--recipe", choices=recipes.names(), metavar="RECIPE", default="wink")
    parser.add_argument("--model", default=models.DEFAULT)
    asked = parser.parse_args(words)
    if not asked.photo.is_file():
        parser.error(f"argument --photo: {asked.photo}: there is no such file")
    for module in ("httpx", "websockets"):
        if importlib.util.find_spec(module) is None:
            parser.error(f"{module} is not installed (pip install {module})")
    return asked


def main() -> None:
    """Measure, and print JSON."""
    asked = asked_for()
    with serving("--queue", str(asked.queue), "--model", asked.model) as server:
        seen = previews(server, asked.photo, asked.side, asked.drag)
        beside = beside_jobs(server, asked) if asked.jobs else None
        found = together(server, asked.photo, asked.clients, fields_of(asked))
        peak = server.peak_mb
    clients = of_many(asked, found, peak) if found else None
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    figures = {
        "preview": asdict(seen),
        "beside": beside and {**asdict(beside[0]), "jobs_a_second": beside[1]},
        "clients": clients and asdict(clients),
        "load": load,
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
