"""What clients send that is no tidy HTTP: against the real server, over sockets."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.paths import ROOT

pytest.importorskip("fastapi", reason="the extra [serve] is not installed")
pytest.importorskip("uvicorn", reason="the extra [serve] is not installed")

from starlette.responses import PlainTextResponse

from memegen.serve.server import JsonProtocol

HOST = b"Host: 127.0.0.1\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=x\r\n"
PATIENCE = 10.0  # seconds; a connection that is kept open is closed after 15
ENDLESS = 2000  # chunks of 64 kB: more than sockets hold


class Served(NamedTuple):
    """A server in a process of its own."""

    port: int
    process: subprocess.Popen[str]
    folder: Path  # for temporary files


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("temporary")
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "memegen", "serve", "--port", "0", "--model", "mesh"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("serving at http://127.0.0.1:"), line
            yield Served(int(line.split(":")[2].split(";")[0]), process, folder)
            process.terminate()
            assert process.wait(30) == 0
            assert process.stderr.read() == ""  # whatever was sent, the log is not the client's
            assert not list(folder.iterdir())
        finally:
            process.kill()


def exchanged(served: Served, *parts: bytes) -> tuple[int, str]:
    """Status and error of what the server answers before it closes the connection (0: nothing)."""
    with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as client:
        answer = b""
        with suppress(ConnectionError):  # it need not read all
            for part in parts:
                client.sendall(part)
        with suppress(ConnectionError):
            while data := client.recv(65536):
                answer += data
    if not answer:
        return 0, ""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    said = json.loads(body)
    assert list(said) == ["error"]
    return int(head.split()[1]), said["error"]


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\x00\xff\r\n\r\n",
        b"GET /recipes HTTP/1.1\r\n\r\n",
        b"GET /recipes HTTP/1.1\r\nHost: evil.example\r\n" + HOST + b"\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 99_000,  # and no end
        b"POST /photos HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n",
        b"POST /photos HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /photos HTTP/1.1\r\n"
        + HOST
        + FORM
        + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ],
)
def test_what_is_no_http_is_said_in_json(served: Served, sent: bytes) -> None:
    assert exchanged(served, sent) == (400, "what was sent is no valid HTTP request")


@pytest.mark.parametrize("path", [b"/photos", b"/nothing", b"/recipes/check"])
def test_nobody_reads_an_endless_body_on(served: Served, path: bytes) -> None:
    """Of a damaged form, of no route, too long: the connection ends with the answer."""
    head = b"POST " + path + b" HTTP/1.1\r\n" + HOST + FORM + b"Transfer-Encoding: chunked\r\n\r\n"
    part = b"--x\r\na" + b"a" * 65530
    began = time.monotonic()
    status, _ = exchanged(served, head, *([b"%x\r\n" % len(part) + part + b"\r\n"] * ENDLESS))
    assert status in (0, 400, 404, 413)  # 0: the answer was lost with the connection
    assert time.monotonic() - began < PATIENCE


def test_heads_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing, half a head, half a head after a request: closed. Whole requests are answered."""
    import uvicorn

    monkeypatch.setattr("memegen.serve.server.HEAD_SECONDS", 0.3)
    whole = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"

    async def answered(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.6)  # longer than a head may take
        await PlainTextResponse("four")(scope, receive, send)

    async def sent(port: int, *parts: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = b""
        for part in parts:
            writer.write(part)
            answer += await reader.readuntil(b"four") if part == whole else b""
        answer += await asyncio.wait_for(reader.read(), 5)  # until it is closed
        writer.close()
        return answer

    async def run() -> list[bytes]:
        config = uvicorn.Config(
            answered, http=JsonProtocol, lifespan="off", log_config=None, timeout_keep_alive=60
        )
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            running = asyncio.create_task(server.serve([listener]))
            port = listener.getsockname()[1]
            kinds = ((), (whole[:9],), (whole, whole[:9]), (whole, whole, b"G"))
            found = [await sent(port, *parts) for parts in kinds]
            server.should_exit = True
            await running
        return found

    found = asyncio.run(run())
    assert found[:2] == [b"", b""]
    assert [answer.count(b"200 OK") for answer in found] == [0, 0, 1, 2]


def test_clients_that_go_away(served: Served) -> None:
    """In the middle of a body, of either kind: nothing is logged (see the end of `served`)."""
    for path in (b"/recipes/check", b"/photos"):
        head = b"POST " + path + b" HTTP/1.1\r\n" + HOST + FORM + b"Content-Length: 5000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as client:
            client.sendall(head + b"--x\r\n")
            time.sleep(0.1)
    assert exchanged(served, b"PUT /photos HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n")[0]
