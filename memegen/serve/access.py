"""Requests as they are counted, timed and, where that is asked for, told in a line of JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memegen.serve.metrics import Metrics

UNKNOWN = "other"  # route of paths that are none: they are not to make metrics without number


class Recorder:
    """Counts what an ASGI application answers. Neither names nor contents of uploads are told."""

    def __init__(self, app: ASGIApp, metrics: Metrics, log: TextIO | None = None) -> None:
        self._app, self._metrics, self._log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began, status, sent = time.perf_counter(), 0, 0

        async def counting(message: Message) -> None:
            nonlocal status, sent
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close" and not status:
                status = 403
            sent += len(message.get("body") or message.get("bytes") or b"")
            await send(message)

        try:
            await self._app(scope, receive, counting)
        finally:
            took = time.perf_counter() - began
            route = str(getattr(scope.get("route"), "path", UNKNOWN))
            method = scope.get("method", "WS")
            self._metrics.count(
                "memegen_requests_total", method=_method(method), route=route, status=str(status)
            )
            if scope["type"] == "http":
                self._metrics.time("memegen_request_seconds", took, route=route)
            if self._log is not None:
                self._tell(scope, {"status": status, "ms": round(took * 1e3, 1), "bytes": sent})

    def _tell(self, scope: Scope, how: dict[str, Any]) -> None:
        client = (scope.get("client") or ("", 0))[0]
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "client": client,
            "method": scope.get("method", "WS"),
            "path": scope["path"],  # without the query, which may hold a token
        }
        print(json.dumps(line | how), file=self._log or sys.stderr, flush=True)


def _method(method: str) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS")
    return method if method in known else UNKNOWN
