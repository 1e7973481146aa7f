"""Who may ask, from where, and how much they may send: checked before anything is read.

A server on this machine is reached by every page that the user's browser shows. A page of another
site may send forms and open sockets to it (cross-site request forgery), and may even take its name
for its own (DNS rebinding), whereupon the browser lets it read the answers. So a request must name
this server by an IP address, `localhost` or a name it was given (Host), must not come from a page
of another site (Origin, Sec-Fetch-Site: WHATWG Fetch, W3C Fetch Metadata), and, where there is a
token, must show it.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memegen.serve.errors import (
    BusyError,
    ClosingError,
    ForbiddenError,
    RefusedError,
    SlowError,
    TooLargeError,
    UnauthorizedError,
    line_of,
)
from memegen.serve.jobs import JobQueue
from memegen.serve.settings import Limits, Settings

OPEN_PATHS = ("/health",)  # answered without a token: it tells nothing of anybody
WHILE_CLOSING = ("/health", "/metrics", "/jobs/")  # beginnings of paths answered to the end
JOB_PATHS = ("/animate", "/transfer", "/render")  # ends of paths that queue a job
COOKIE = "memegen-token"  # and the port: cookies are shared by all ports of a host
LEAST_RATE = 2000.0  # bytes a second at which a body comes, on average, after its first seconds
OVERHEAD = 200_000  # bytes of a form beside its files
OWN_SITE = ("same-origin", "none")  # of Sec-Fetch-Site; none: typed, or not of a page
HEADERS = {
    # The page runs its own scripts and styles, shows what it made, and asks nobody else.
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def refusal(error: Exception, status: int) -> JSONResponse:
    """An error as every route answers it."""
    headers: Mapping[str, str] = dict(getattr(error, "headers", ()))
    return JSONResponse({"error": line_of(error)}, status, headers)


class Guard:
    """Refuses what must not be answered, and bounds what is read; ASGI around ASGI."""

    def __init__(self, app: ASGIApp, settings: Settings, jobs: JobQueue) -> None:
        self._app, self._settings, self._jobs = app, settings, jobs
        self._open = 0  # requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check(scope, headers)
            most = most_bytes(scope["path"], self._settings.limits)
            if scope["type"] == "http":
                _check_length(headers, most)
        except RefusedError as error:
            await _refuse(error, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        if (cookie := self._given_once(scope, headers)) is not None:
            await cookie(scope, receive, _hardened(send))
            return
        self._open += 1
        try:
            bounded = _Bounded(receive, most, self._settings.limits.body_seconds)
            ends = partial(_is_coming, headers, bounded)
            await self._app(scope, bounded, _hardened(send, ends))
        finally:
            self._open -= 1

    def _check(self, scope: Scope, headers: Headers) -> None:
        path, method = scope["path"], scope.get("method", "GET")
        check_host(headers, self._settings)
        check_origin(headers, method, path, scope["type"] == "websocket")
        self._check_token(scope, headers)
        if self._jobs.closing and not path.startswith(WHILE_CLOSING):
            raise ClosingError("the server is ending")
        if self._open >= self._settings.limits.requests:
            raise BusyError(f"{self._open} requests are being answered; try again later")
        if method == "POST" and path.endswith(JOB_PATHS):
            self._jobs.check_room()

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        token = self._settings.token
        if token is None or scope["path"] in OPEN_PATHS:
            return
        shown = [_bearer(headers), _cookie(headers, _cookie_name(scope))]
        if scope["path"] == "/":
            shown.append(_query_token(scope))
        given = [one for one in shown if one]
        if not any(hmac.compare_digest(one.encode(), token.encode()) for one in given):
            said = "the token is wrong" if given else "a token is needed"
            raise UnauthorizedError(f"{said} (Authorization: Bearer TOKEN)")

    def _given_once(self, scope: Scope, headers: Headers) -> Response | None:
        """Where the page is opened with a token, a cookie in its place, and its address without."""
        if self._settings.token is None or scope["path"] != "/" or not _query_token(scope):
            return None
        response = RedirectResponse("/", 303)
        value = quote(self._settings.token, safe="")
        name = _cookie_name(scope)
        response.set_cookie(name, value, httponly=True, samesite="strict", path="/")
        return response


def check_host(headers: Headers, settings: Settings) -> None:
    """Raise ForbiddenError unless the Host is an IP address, localhost or a name of this server."""
    hosts = headers.getlist("host")
    name = _host_name(hosts[0]) if len(hosts) == 1 else ""
    if name in {"localhost", settings.host.lower(), *(n.lower() for n in settings.names)} - {""}:
        return
    try:
        ipaddress.ip_address(name)
    except ValueError:
        raise ForbiddenError("not a name of this server (--allow-host NAME adds one)") from None


def check_origin(headers: Headers, method: str, path: str, socket: bool) -> None:
    """Raise ForbiddenError for what a page of another site asks; links to the page are no harm."""
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is not None and _host_of(origin) != host.lower():
        raise ForbiddenError("asked by another site")
    site = headers.get("sec-fetch-site")
    if site is None or site in OWN_SITE:
        return
    followed = headers.get("sec-fetch-mode") == "navigate" and method == "GET" and path == "/"
    if socket or not followed:
        raise ForbiddenError("asked by another site")


def _host_of(origin: str) -> str | None:
    """The host and port of an origin, lower case; None for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # such as a bracket that is not closed
        return None


def most_bytes(path: str, limits: Limits) -> int:
    """Bytes that a body sent to a path may have."""
    if path == "/photos":
        return limits.photo_bytes + OVERHEAD
    if path in ("/animate", "/aus"):
        return limits.clip_bytes + limits.json_bytes + OVERHEAD
    if path == "/transfer":
        return 2 * limits.clip_bytes + OVERHEAD
    return limits.json_bytes


class _Bounded:
    """Receives a body of so many bytes at most.

    Its parts come within so many seconds, and so much later at most as LEAST_RATE says: a byte now
    and then would keep a request open for ever.
    """

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive, self._most, self._seconds = receive, most, seconds
        self._left, self.whole = most, False
        self._began: float | None = None  # when it was first waited for, by the monotonic clock

    async def __call__(self) -> Message:
        if self.whole:  # waits for a disconnection, which may take for ever
            return await self._receive()
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        # Rounded as written: at first it is just `_seconds`, whatever the clock says.
        owed = self._seconds + (self._most - self._left) / LEAST_RATE - (now - self._began)
        try:
            message = await asyncio.wait_for(self._receive(), min(self._seconds, owed))
        except (TimeoutError, asyncio.TimeoutError):  # two until Python 3.11
            if owed < self._seconds:
                raise SlowError(f"the body is slower than {LEAST_RATE / 1e3:g} kB/s") from None
            raise SlowError(f"the body stopped for more than {self._seconds:g} s") from None
        if message["type"] != "http.request":
            return message
        self._left -= len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        if self._left < 0:
            raise _too_large(self._most)
        return message


def _is_coming(headers: Headers, body: _Bounded) -> bool:
    """Whether a part of the body is still on its way, which nobody will read."""
    announced = "transfer-encoding" in headers or int(headers.get("content-length", "0")) > 0
    return announced and not body.whole


def _check_length(headers: Headers, most: int) -> None:
    said = headers.get("content-length", "0")
    if not said.isascii() or not said.isdigit():
        raise RefusedError("content-length is no number")
    if len(said) > len(str(most)) or int(said) > most:
        raise _too_large(most)


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"the body has more than {most / 1e6:.1f} MB")


def _hardened(send: Send, ends: Callable[[], bool] | None = None) -> Send:
    """Adds HEADERS to every answer; what is made for one client is kept by nobody.

    Where `ends` says so when the answer begins, the connection is closed after it: a client could
    go on sending for ever what nobody reads.
    """

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            if ends is not None and ends():
                headers["connection"] = "close"
        await send(message)

    return sending


async def _refuse(error: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
    response = refusal(error, error.status)
    if scope["type"] == "http":
        response.headers["connection"] = "close"  # a body may be on its way that nobody reads
        await response(scope, receive, _hardened(send))
    elif "websocket.http.response" in scope.get("extensions", {}):
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": line_of(error)[:120]})


def _host_name(host: str) -> str:
    """The name of `name:port` or `[::1]:port`, lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _cookie_name(scope: Scope) -> str:
    port = (scope.get("server") or ("", 0))[1]
    return f"{COOKIE}-{port or 0}"


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return unquote(found.value) if found else None


def _query_token(scope: Scope) -> str | None:
    pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
    return dict(pairs).get("token")
