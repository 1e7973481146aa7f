"""Addresses of Ray clusters: whether one can be, and whether anything answers there.

Ray itself waits for more than a minute for one that does not answer.
"""

from __future__ import annotations

import os
import re
import socket

from memegen.errors import MemegenError, UsageError

LOCAL = "local"  # a Ray of this process
NAMES = (LOCAL, "auto")  # that Ray knows; auto: the cluster that this machine belongs to
SECONDS = 5.0  # to connect in, and again to answer in
_WRITTEN = re.compile(r"(?P<client>ray://)?(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})")
# Both kinds of Ray's ports speak gRPC, so HTTP/2: what a client begins with (RFC 9113, section
# 3.4), and an empty frame of settings; a server's first frame has to be one of settings too.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME = 9  # bytes of a frame's head; the fourth is its type
_SETTINGS = 4


def check(address: str) -> None:
    """Raise UsageError for what is no address, MemegenError, soon, where no Ray answers."""
    if address in NAMES:
        return
    parts = _WRITTEN.fullmatch(address)
    if parts is None or not 0 < int(parts["port"]) < 1 << 16:
        raise UsageError(
            f"`address` {address}: must be auto, local, HOST:PORT (the port is usually 6379) or "
            "ray://HOST:PORT (10001)"
        )
    encrypted = os.environ.get("RAY_USE_TLS", "0") == "1"
    try:
        with socket.create_connection(
            (parts["host"].strip("[]"), int(parts["port"])), SECONDS
        ) as s:
            s.settimeout(SECONDS)
            if encrypted:
                return
            s.sendall(_HELLO)
            answer = s.recv(_FRAME)
    except TimeoutError:
        raise MemegenError(f"no Ray answers at {address} within {SECONDS:.0f} s") from None
    except OSError as error:
        raise MemegenError(f"no Ray answers at {address}: {error.strerror or error}") from None
    if len(answer) < _FRAME or answer[3] != _SETTINGS:
        raise MemegenError(f"what answers at {address} is no Ray")
