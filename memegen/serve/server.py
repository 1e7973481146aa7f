"""Runs the application: listens, says where, ends tidily."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from memegen.errors import MemegenError, UsageError
from memegen.process import one_thread, switch_threads_often
from memegen.serve.app import create_app
from memegen.serve.service import Service
from memegen.serve.settings import Settings

BACKLOG = 128  # connections that wait to be accepted
IDLE_SECONDS = 15  # that a connection is kept open without a request
LEFT_SECONDS = 5  # that answers on their way get, after all jobs ended
PING_SECONDS = 20.0  # between pings of preview connections, and to their answers
HEAD_SECONDS = 15.0  # that a request's head may take
HEADER_BYTES = 16_000  # of one request's head
# Errors are told by `app`, and are not the log's where the client makes them: a line each would let
# clients fill a disk.
LOGGERS = ("uvicorn.error", "python_multipart.multipart")
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP is not on Windows
ONE_SIGNAL = 1.0  # seconds in which signals count as one: launchers often send two


class JsonProtocol(H11Protocol):
    """HTTP/1.1 that answers what is none in JSON, as the routes answer errors.

    A connection whose request does not begin, or whose head does not end, within HEAD_SECONDS is
    closed: uvicorn would keep it for ever.
    """

    _head: asyncio.TimerHandle | None = None  # closes the connection, unless there is a head

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._wait_for_head(True)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        self._wait_for_head(self.conn.their_state is h11.IDLE and not self.transport.is_closing())

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._wait_for_head(False)
        super().connection_lost(exc)

    def _wait_for_head(self, missing: bool) -> None:
        if missing and self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        elif not missing and self._head is not None:
            self._head.cancel()
            self._head = None

    def send_400_response(self, msg: str) -> None:
        """See H11Protocol."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # no answer has begun
            body = json.dumps({"error": "what was sent is no valid HTTP request"}).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()


class TidyServer(uvicorn.Server):
    """Ends in two steps: refuses new work while jobs end, then closes its connections.

    A second signal does not wait.
    """

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready
        self._ending: threading.Thread | None = None
        self._asked = 0.0  # when the first signal came, by the monotonic clock

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server; `ready` is called when requests are answered."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends on what asks a program to end, and does not raise it again: a tidy end is good."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in numbers
            if signal.getsignal(number) != signal.SIG_IGN  # `nohup` asks for that
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn.Server."""
        if self._ending is not None:
            if time.monotonic() - self._asked > ONE_SIGNAL:
                self.should_exit = self.force_exit = True
            return
        self._asked = time.monotonic()
        # In a thread of its own: a signal's handler must not wait for locks.
        self._ending = threading.Thread(target=self._end, name="memegen-end", daemon=True)
        self._ending.start()

    def _end(self) -> None:
        service = self._service
        service.jobs.close(service.settings.limits.grace_seconds)
        self.should_exit = True


def listening(settings: Settings) -> socket.socket:
    """A socket on the settings' host and port. Raises UsageError where that cannot be."""
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"`host` {settings.host}: {_reason(error)}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise UsageError(f"cannot listen on {where}: {_reason(error)}") from None
    return listener


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def address_of(settings: Settings, listener: socket.socket) -> str:
    """Where browsers find the server that listens there."""
    port = listener.getsockname()[1]
    host = settings.host
    if host in ("0.0.0.0", "::", ""):  # everywhere: on this machine too
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until a signal ends it. `ready` is told the address when requests are answered.

    Raises UsageError where it cannot listen there, what `Animator` raises, MemegenError if it does
    not start.
    """
    settings.check()
    listener = listening(settings)
    address = address_of(settings, listener)
    with contextlib.closing(listener):
        one_thread()
        switch_threads_often()
        service = Service.of(settings)
        for name in LOGGERS:
            logging.getLogger(name).disabled = True
        config = uvicorn.Config(
            create_app(service),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=LEFT_SECONDS,
            h11_max_incomplete_event_size=HEADER_BYTES,
            http=JsonProtocol,
            ws="websockets-sansio",
            ws_per_message_deflate=False,  # JPEGs do not get smaller
            ws_max_size=settings.limits.message_bytes * 4,  # bytes: up to four a character
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_SECONDS,
            lifespan="on",
        )
        server = TidyServer(config, service, lambda: ready(address))
        server.run([listener])
        if not server.started:
            raise service.problem or MemegenError("the server did not start")
