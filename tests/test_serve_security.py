"""Who may ask a server, from where, and how much they may send."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.serving import (
    BASE,
    SMALL,
    SOCKET,
    PlainTextResponse,
    TestClient,
    WebSocketDenialResponse,
    client_of,
    picture_bytes,
    service_with,
)

import memegen
from memegen.errors import UsageError
from memegen.serve.access import Recorder
from memegen.serve.app import create_app
from memegen.serve.metrics import Metrics
from memegen.serve.security import Guard
from memegen.serve.settings import Limits, Settings

FACE = picture_bytes()


@pytest.fixture(scope="module")
def client(mesh: memegen.Animator) -> Iterator[TestClient]:
    service = service_with(mesh, replace(SMALL, json_bytes=2000))
    yield client_of(service)
    service.close()


@pytest.fixture(scope="module")
def guarded(
    mesh: memegen.Animator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A server with a page and a token, by another name too."""
    page = tmp_path_factory.mktemp("page")
    (page / "index.html").write_text("<title>studio</title>")
    (page / "app.js").write_text("export {};")
    service = service_with(mesh, token="sesame+/=", names=("meme.example",), page=page)
    yield client_of(service)
    service.close()


def said(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    return str(answer.json()["error"])


def refused_socket(client: TestClient, headers: dict[str, str]) -> int:
    """The status with which a preview is refused."""
    path = f"{SOCKET}/photos/a/preview"
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(path, headers=headers),
    ):
        pass
    return refused.value.status_code


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:9", "LocalHost", "[::1]:8000", "192.168.1.4"]
)
def test_names_of_this_machine(client: TestClient, host: str) -> None:
    assert client.get("/recipes", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "[",
        "@127.0.0.1",
    ],
)
def test_dns_rebinding_is_refused(client: TestClient, host: str) -> None:
    assert "not a name of this server" in said(client.get("/recipes", headers={"host": host}), 403)
    assert refused_socket(client, {"host": host}) == 403


def test_other_names_are_allowed_when_asked_for(guarded: TestClient) -> None:
    headers = {"authorization": "Bearer sesame+/="}
    for host, status in (("meme.example", 200), ("Meme.Example:80", 200), ("mime.example", 403)):
        assert guarded.get("/recipes", headers={**headers, "host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},  # another server of this machine
        {"origin": "http://127.0.0.1@evil.example"},
        {"origin": "http://["},
        {"origin": "http://127.0.0.1:99999999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_pages_of_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert "another site" in said(
        client.post("/photos", files={"photo": FACE}, headers=headers), 403
    )
    assert "another site" in said(client.post("/recipes/check", content="a", headers=headers), 403)
    assert said(client.request("OPTIONS", "/animate", headers=headers), 403)
    assert refused_socket(client, headers) == 403


def test_the_own_page_is_not(guarded: TestClient) -> None:
    shown = {"authorization": "Bearer sesame+/="}
    own = {**shown, "origin": BASE, "sec-fetch-site": "same-origin"}
    assert guarded.post("/recipes/check", content="a", headers=own).status_code == 400
    followed = {**shown, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert guarded.get("/", headers=followed).status_code == 200
    embedded = {**shown, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert guarded.get("/app.js", headers=embedded).status_code == 403


def test_answers_say_what_browsers_may_do(guarded: TestClient) -> None:
    for path in ("/health", "/", "/nothing"):
        headers = guarded.get(path, headers={"authorization": "Bearer sesame+/="}).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (
            headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        )
        assert headers["cache-control"] == "no-store"
        assert not [name for name in headers if name.startswith("access-control")]


def test_a_token(guarded: TestClient) -> None:
    assert guarded.get("/health").status_code == 200
    answer = guarded.get("/recipes")
    assert "a token is needed" in said(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    for wrong in (
        "Bearer sesame",
        "Bearer",
        "Basic sesame+/=",
        "Bearer sesam\u00e9".encode("latin-1"),
    ):
        assert said(guarded.get("/metrics", headers={"authorization": wrong}), 401)
    assert guarded.get("/recipes", headers={"authorization": "bearer sesame+/="}).status_code == 200
    assert said(guarded.get("/recipes?token=sesame%2B%2F%3D"), 401)  # only where the page is
    assert refused_socket(guarded, {}) == 401


def test_the_page_gets_a_cookie_for_the_token(guarded: TestClient) -> None:
    assert said(guarded.get("/?token=wrong"), 401)
    opened = guarded.get("/?token=sesame%2B%2F%3D", follow_redirects=False)
    assert opened.status_code == 303 and opened.headers["location"] == "/"
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    pair = cookie.split(";")[0]
    assert guarded.get("/", headers={"cookie": pair}).text == "<title>studio</title>"
    assert guarded.get("/recipes", headers={"cookie": pair}).status_code == 200
    with guarded.websocket_connect(
        f"{SOCKET}/photos/a/preview", headers={"cookie": pair}
    ) as socket:
        socket.send_text("{}")
        assert "no such photo" in socket.receive_text()
    guarded.cookies.clear()


def test_paths_out_of_the_page_are_refused(guarded: TestClient) -> None:
    for path in (
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/app.js/../../x",
    ):
        answer = guarded.get(path, headers={"authorization": "Bearer sesame+/="})
        assert answer.status_code in (400, 404) and "root:" not in answer.text


def test_bodies_are_bounded(client: TestClient) -> None:
    assert "more than 0.0 MB" in said(client.post("/recipes/check", content=b"a" * 3000), 413)

    def parts() -> Iterator[bytes]:
        for _ in range(30):
            yield b"a" * 100

    assert said(client.post("/recipes/check", content=parts()), 413)
    for length in ("-1", "1e9", "9" * 50):
        headers = {"content-length": length}
        assert client.post("/recipes/check", content=b"", headers=headers).status_code in (400, 413)


def test_odd_requests(client: TestClient) -> None:
    for body in (b"{", b"[]", b"null", b"", b"\xff\xfe", b'{"a":1}' * 9, b"[" * 1900):
        answer = client.post(
            "/recipes/yaml", content=body, headers={"content-type": "application/json"}
        )
        assert said(answer, 400)
    odd = {"content-type": "multipart/form-data; boundary=x"}
    for body in (
        b"",
        b"--x\r\n",
        b"--x--\r\n",
        b"garbage",
        b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\nabc',
    ):
        assert said(client.post("/photos", content=body, headers=odd), 400)
    assert said(client.post("/photos", data={"photo": "text"}), 400)
    assert said(client.put("/photos"), 405)
    assert said(client.get("/no%00thing"), 404)


def test_settings_that_cannot_be() -> None:
    for wrong in ({"port": 70000}, {"token": ""}, {"token": "a b"}, {"token": "ä"}, {"host": ""}):
        with pytest.raises(UsageError):
            Settings(**wrong).check()  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        Limits(workers=0)
    assert not Settings().open_to_others and Settings(host="0.0.0.0").open_to_others
    assert not Settings(host="::1").open_to_others and not Settings(host="localhost").open_to_others


def asked(app: Any, receive: Any, path: str = "/aus", **more: Any) -> Any:
    """What an ASGI application answers to one request: its status and body."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"token=secret",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 5),
        **more,
    }

    async def run() -> tuple[int, bytes]:
        await app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    return run()


async def nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_only_so_many_requests_at_a_time(client: TestClient) -> None:
    async def run() -> list[tuple[int, bytes]]:
        go = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await go.wait()
            await PlainTextResponse("late")(scope, receive, send)

        service = client.app.state.service  # type: ignore[attr-defined]
        settings = Settings(limits=replace(SMALL, requests=2))
        guard = Guard(slow, settings, service.jobs)
        first = [asyncio.create_task(asked(guard, nothing)) for _ in range(2)]
        await asyncio.sleep(0.01)
        refused = await asked(guard, nothing)
        go.set()
        return [refused, *[await task for task in first], await asked(guard, nothing)]

    refused, *rest = asyncio.run(run())
    assert refused[0] == 429 and b"try again later" in refused[1]
    assert rest == [(200, b"late")] * 3


def test_bodies_that_stop(client: TestClient) -> None:
    async def run() -> tuple[int, bytes]:
        service = client.app.state.service  # type: ignore[attr-defined]
        settings = replace(service.settings, limits=replace(SMALL, body_seconds=0.05))
        guard = Guard(create_app(service), settings, service.jobs)

        async def stopped() -> Any:
            await asyncio.sleep(9)

        return await asked(guard, stopped, "/recipes/check")

    status, body = asyncio.run(run())
    assert status == 408 and b"the body stopped" in body


def test_connections_end_where_a_body_is_not_read(client: TestClient) -> None:
    def ends(answer: Any) -> bool:
        return bool(answer.headers.get("connection") == "close")

    assert ends(client.post("/nothing", content=b"a" * 100))
    assert not ends(client.post("/recipes/check", content=b"a"))
    assert not ends(client.get("/nothing")) and not ends(client.get("/recipes"))


def test_clients_that_go_away_are_no_fault(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    for path in ("/recipes/check", "/aus"):
        assert asyncio.run(asked(client.app, gone, path))[0] == 400
    assert capsys.readouterr().err == ""


def test_previews_take_text(client: TestClient) -> None:
    with client.websocket_connect(f"{SOCKET}/photos/a/preview") as socket:
        socket.send_bytes(b"{}")
        assert "not bytes" in json.loads(socket.receive_text())["error"]
        assert socket.receive()["code"] == 1003


def test_bodies_that_drip(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte within every pause that is allowed, for ever; one that is as fast as asked is read."""
    monkeypatch.setattr("memegen.serve.security.LEAST_RATE", 100.0)

    async def run(size: int) -> tuple[int, bytes]:
        service = client.app.state.service  # type: ignore[attr-defined]
        settings = replace(service.settings, limits=replace(SMALL, body_seconds=0.1))
        guard = Guard(create_app(service), settings, service.jobs)
        parts = iter([True] * 40 + [False])

        async def dripping() -> Any:
            await asyncio.sleep(0.01)
            return {"type": "http.request", "body": b" " * size, "more_body": next(parts)}

        return await asked(guard, dripping, "/recipes/check")

    status, body = asyncio.run(run(0))
    assert status == 408 and b"slower than 0.1 kB/s" in body
    assert asyncio.run(run(40))[0] == 400  # whole, and no recipe


def test_only_so_many_previews(mesh: memegen.Animator) -> None:
    service = service_with(mesh, replace(SMALL, previews=1))
    client = client_of(service)
    path = f"{SOCKET}/photos/a/preview"
    with client.websocket_connect(path), client.websocket_connect(path) as second:
        assert "too many previews" in second.receive_text()
        assert second.receive()["code"] == 1013
    with client.websocket_connect(path) as again:
        again.send_text("{}")
        assert "no such photo" in again.receive_text()
    service.close()


def test_the_log_tells_no_secrets(client: TestClient) -> None:
    log = io.StringIO()
    recorder = Recorder(PlainTextResponse("four"), Metrics(), log)
    assert asyncio.run(asked(recorder, nothing)) == (200, b"four")
    line = json.loads(log.getvalue())
    assert (line["method"], line["path"], line["status"], line["bytes"]) == ("POST", "/aus", 200, 4)
    assert "secret" not in log.getvalue()
