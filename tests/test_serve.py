"""The server's routes: what they answer, within which limits."""

from __future__ import annotations

import io
import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.clips import pictures, ramp
from support.serving import (
    SMALL,
    SOCKET,
    TestClient,
    client_of,
    picture_bytes,
    service_with,
    waited,
)

import memegen
from memegen import aus, recipes
from memegen.media.encode import target_for, write
from memegen.performance.table import to_csv
from memegen.serve import recipe_json
from memegen.serve.errors import TooLargeError
from memegen.serve.service import Service
from memegen.serve.uploads import clip_of

FACE = picture_bytes()


@pytest.fixture(scope="module")
def service(mesh: memegen.Animator) -> Iterator[Service]:
    made = service_with(mesh)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(service: Service) -> TestClient:
    return client_of(service)


@pytest.fixture(scope="module")
def photo(client: TestClient) -> dict[str, Any]:
    answer = client.post("/photos", files={"photo": ("../../etc/x.png", FACE)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def error_of(answer: Any, status: int) -> str:
    """The line of an error, which is all that its body holds."""
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert list(said) == ["error"] and "\n" not in said["error"] and "Traceback" not in answer.text
    return str(said["error"])


def test_health_and_metrics(client: TestClient) -> None:
    said = client.get("/health").json()
    assert said == {"status": "ok", "version": memegen.__version__, "model": "mesh", "queue": 0}
    text = client.get("/metrics").text
    assert "# TYPE memegen_queue_length gauge\nmemegen_queue_length 0\n" in text
    assert 'memegen_requests_total{method="GET",route="/health",status="200"}' in text
    rows = [line for line in text.splitlines() if line.startswith("memegen_request_seconds_bucket")]
    counts = [int(r.rsplit(" ", 1)[1]) for r in rows if 'route="/health"' in r]
    assert counts == sorted(counts) and counts[-1] >= 1


def test_tables(client: TestClient) -> None:
    rows = client.get("/aus/table").json()
    assert [row["number"] for row in rows] == [unit.number for unit in aus.TABLE]
    by_name = {row["name"]: row for row in rows}
    assert by_name["AU51"]["opposite"] == "AU52" and not by_name["AU51"]["sides"]
    assert by_name["AU12"]["facs"] == "Lip corner puller" and by_name["AU12"]["sides"]
    assert {c for row in rows for c in row["channels"]} == set(aus.CHANNELS)
    listed = client.get("/recipes").json()
    assert [row["name"] for row in listed] == recipes.names()
    assert all(row["seconds"] > 0 and row["description"] for row in listed)
    forms = {row["name"]: row for row in client.get("/formats").json()}
    assert "discord-sticker" in {p for row in forms.values() for p in row["platforms"]}
    assert forms["gif"]["animated"] and not forms["jpg"]["animated"]


@pytest.mark.parametrize("name", recipes.names())
def test_recipes_survive_json(client: TestClient, name: str) -> None:
    said = client.get(f"/recipes/{name}").json()
    assert recipes.parse(said.pop("yaml")) == recipes.load(name)
    text = client.post("/recipes/yaml", json=said)
    assert text.headers["content-type"] == "text/yaml; charset=utf-8"
    again, own = recipes.parse(text.text), recipes.load(name)
    assert again.track(25).add == pytest.approx(own.track(25).add, abs=1e-6)
    assert again.track(25).keep == pytest.approx(own.track(25).keep, abs=1e-6)
    assert (again.captions, again.loop, again.fps) == (own.captions, own.loop, own.fps)
    checked = client.post("/recipes/check", content=text.text).json()
    assert checked == {"recipe": said, "yaml": text.text}


def test_recipes_that_are_none(client: TestClient) -> None:
    text = "name: a\nkeyframes:\n  - {at: 0, expression: {AU99: 1}}\n"
    line = error_of(client.post("/recipes/check", content=text), 400)
    assert line.startswith("recipe:3: unknown action unit 'AU99'")
    assert "UTF-8" in error_of(client.post("/recipes/check", content=b"\xff"), 400)
    assert "nested deeper" in error_of(client.post("/recipes/check", content="[" * 50_000), 400)
    assert "keyframes" in error_of(client.post("/recipes/yaml", json={"name": "a"}), 400)
    caption = {"text": "a", "style": {"font": "/etc/passwd.ttf"}}
    body = {"keyframes": [{"at": 0, "expression": {}}], "captions": [caption]}
    assert "not a file" in error_of(client.post("/recipes/yaml", json=body), 400)
    assert "unknown recipe 'smil', did you" in error_of(client.get("/recipes/smil"), 404)
    assert error_of(client.get("/recipes/..%2f..%2fREADME.yaml"), 404)
    odd = client.post("/recipes/yaml", content=b'{"keyframes": ' + b"[" * 5000)
    assert error_of(odd, 400)
    assert error_of(client.post("/recipes/yaml", content=b'{"fps": NaN, "keyframes": []}'), 400)


def test_relative_recipes_keep_saying_so() -> None:
    text = "relative: true\nkeyframes:\n  - {at: 0, expression: {}}\n  - {at: 1, expression: {AU51: -2, AU12L: 1}}\n"
    said = recipe_json.as_json(recipes.parse(text))
    assert said["relative"] and said["keyframes"][1]["expression"] == {"AU12L": 1.0, "AU51": -2.0}
    assert recipe_json.from_json(said) == recipes.parse(text)


def test_a_photo_is_kept_and_forgotten(client: TestClient, photo: dict[str, Any]) -> None:
    assert (photo["width"], photo["height"]) == (160, 160) and len(photo["id"]) >= 20
    face = photo["faces"][0]
    assert face["index"] == 0 and set(face["expression"]) == set(aus.CHANNELS)
    x, y, width, height = face["box"]
    assert 0 < x < x + width < 160 and 0 < y < y + height < 160
    shown = client.get(f"/photos/{photo['id']}/picture?side=80")
    assert shown.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(shown.content)).size == (80, 80)
    other = client.post("/photos", files={"photo": FACE}).json()["id"]
    assert other != photo["id"] and client.delete(f"/photos/{other}").status_code == 204
    assert "send it again" in error_of(client.get(f"/photos/{other}/picture"), 404)
    assert error_of(client.delete(f"/photos/{other}"), 404)
    assert error_of(client.get(f"/photos/{photo['id']}/picture?side=9"), 400).startswith("side:")


def test_the_sample(client: TestClient) -> None:
    first, second = (client.get("/photos/sample").json() for _ in range(2))
    assert first == second and len(first["faces"]) == 1


BLANK = Image.new("RGB", (64, 64), "grey")
HOSTILE: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "empty"),
    "text": (b"hello, I am a photo", 415, "not a picture"),
    "script": (b"%!PS-Adobe-3.0 EPSF-3.0\n", 415, "not a picture"),
    "list of files": (b"ffconcat version 1.0\nfile /etc/passwd\n", 415, "not a picture"),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", 415, "not a picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not a picture"),
    "truncated": (FACE[: len(FACE) // 2], 400, "damaged"),
    "wide": (picture_bytes(Image.new("1", (9000, 20))), 413, "pixels a side"),
    "bomb": (picture_bytes(Image.new("1", (8100, 8100))), 413, "megapixels"),
    "tiny": (picture_bytes(Image.new("RGB", (4, 4))), 400, "too few"),
    "nobody": (picture_bytes(BLANK), 422, "no face"),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("route", ["/photos", "/aus", "/animate"])
def test_hostile_uploads(client: TestClient, kind: str, route: str) -> None:
    data, status, word = HOSTILE[kind]
    answer = client.post(route, files={"photo": ("<b>../../x\n.png", data, "text/html")})
    line = error_of(answer, status)
    assert word in line and "<b>" not in line and "/tmp" not in line
    assert client.get("/health").json()["status"] == "ok"


def test_intensities(client: TestClient, photo: dict[str, Any]) -> None:
    said = client.post("/aus", files={"photo": FACE}).json()
    assert said["faces"] == photo["faces"]


def previewed(client: TestClient, photo: dict[str, Any], message: dict[str, Any]) -> np.ndarray:
    with client.websocket_connect(f"{SOCKET}/photos/{photo['id']}/preview") as socket:
        socket.send_json({"seq": 7, "side": 128, **message})
        data = socket.receive_bytes()
    assert struct.unpack(">I", data[:4]) == (7,)
    return np.asarray(Image.open(io.BytesIO(data[4:]))).astype(int)


def test_a_preview_shows_the_expression(client: TestClient, photo: dict[str, Any]) -> None:
    rest = previewed(client, photo, {"expression": {}})
    smile = previewed(client, photo, {"expression": {"AU26": 5, "AU12L": 3}})
    assert rest.shape == (128, 128, 3) == smile.shape
    changed = np.abs(smile - rest).max(-1) > 40
    x, y, width, height = (v * 128 / 160 for v in photo["faces"][0]["box"])
    rows, columns = np.nonzero(changed)
    assert changed.sum() > 50 and y < rows.mean() < y + height and x < columns.mean() < x + width
    assert not changed[:, :8].any() and not changed[:, -8:].any()
    titled = previewed(client, photo, {"captions": {"top": "when"}, "face": "all"})
    assert np.abs(titled - rest)[:30].max() > 100
    barred = previewed(client, photo, {"captions": {"caption": "a bar"}})
    assert barred.shape[0] > 128


def test_previews_that_cannot_be(client: TestClient, photo: dict[str, Any]) -> None:
    messages = {
        "{": "Invalid JSON",
        '{"seq": 3, "expression": {"AU99": 1}}': "unknown action unit",
        '{"seq": 3, "expression": {"AU12": 6}}': "outside 0..5",
        '{"seq": 3, "expression": {"AU12": NaN}}': "finite",
        '{"seq": 3, "face": 4, "expression": {}}': "no face 4",
        '{"seq": 3, "side": 100000}': "side",
        '{"seq": 3, "captions": {"top": "a", "font": "/etc/x.ttf"}}': "not a file",
        '{"seq": 3, "spare": 1}': "spare",
        "[" * 20_000: "recursion",
        " " * 70_000: "more than",
    }
    with client.websocket_connect(f"{SOCKET}/photos/{photo['id']}/preview") as socket:
        for text, word in messages.items():
            socket.send_text(text)
            said = json.loads(socket.receive_text())
            assert word in said["error"] and said["seq"] in (0, 3), said
        socket.send_json({"seq": 4, "side": 64})  # it goes on
        assert socket.receive_bytes()[:4] == b"\0\0\0\4"
    with client.websocket_connect(f"{SOCKET}/photos/nobody/preview") as socket:
        socket.send_json({"seq": 1})
        assert "no such photo" in json.loads(socket.receive_text())["error"]


def test_the_newest_wins(
    client: TestClient, photo: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from memegen.serve import routes_photos

    begun, go = threading.Event(), threading.Event()
    real = routes_photos._picture

    def held(*args: Any) -> bytes:
        begun.set()
        assert go.wait(10)
        return real(*args)

    monkeypatch.setattr(routes_photos, "_picture", held)
    with client.websocket_connect(f"{SOCKET}/photos/{photo['id']}/preview") as socket:
        socket.send_json({"seq": 0, "side": 64})
        assert begun.wait(10)
        for seq in range(1, 9):
            socket.send_json({"seq": seq, "side": 64})
        threading.Timer(0.3, go.set).start()
        found = [struct.unpack(">I", socket.receive_bytes()[:4])[0] for _ in range(2)]
    assert found == [0, 8]


def test_a_render_is_a_job(client: TestClient, photo: dict[str, Any]) -> None:
    recipe = {
        "fps": 10,
        "loop": "once",
        "keyframes": [{"at": 0, "expression": {}}, {"at": 0.5, "expression": {"AU26": 4}}],
    }
    body = {"recipe": recipe, "format": "gif", "side": 96, "captions": {"top": "hi"}}
    made = client.post(f"/photos/{photo['id']}/render", json=body)
    assert made.status_code == 202
    job = made.json()["job"]
    said = waited(client, job)
    assert said["state"] == "done" and said["progress"] == 1 and said["type"] == "image/gif"
    answer = client.get(f"/jobs/{job}/result")
    assert answer.headers["content-disposition"] == 'attachment; filename="memegen.gif"'
    assert len(answer.content) == said["bytes"]
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (96, 96) and image.n_frames == 6
    assert client.delete(f"/jobs/{job}").json()["state"] == "done"
    assert error_of(client.get(f"/jobs/{job}"), 404)


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"recipe": "smil"}, 400, "did you mean 'smile'"),
        ({"recipe": "../smile.yaml"}, 400, "unknown recipe"),
        ({"face": 3}, 422, "no face 3"),
        ({"format": "exe"}, 400, "unknown output format"),
        ({"platform": "discord-stick"}, 400, "discord-sticker"),
        ({"side": 4000}, 413, "more than 256 pixels"),
        ({"duration": 100}, 413, "more than 6 s"),
        ({"duration": 5, "fps": 100}, 413, "frames"),
        ({"intensity": 9}, 400, "intensity"),
        ({"max_size": "tiny"}, 400, "max_size"),
        ({"captions": {"style": "none"}}, 400, "caption style"),
        ({"recipe": {"keyframes": [{"at": -1, "expression": {}}]}}, 400, "recipe:"),
        ({"spare": 1}, 400, "spare"),
    ],
)  # fmt: skip
def test_renders_that_cannot_be(
    client: TestClient, photo: dict[str, Any], change: dict[str, Any], status: int, word: str
) -> None:
    answer = client.post(f"/photos/{photo['id']}/render", json=change)
    assert word in error_of(answer, status)


def test_animate_answers_with_the_file(client: TestClient) -> None:
    fields = {
        "au": "AU12=3",
        "size": "96",
        "format": "webp",
        "fps": "8",
        "duration": "0.5",
        "bottom": "text",
    }
    answer = client.post("/animate", files={"photo": FACE}, data=fields)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(answer.content)).n_frames == 4
    text = "fps: 8\nloop: once\nkeyframes:\n  - {at: 0, expression: {AU1: 2}}\n"
    fields = {"recipe_yaml": text, "still": "true", "crop": "face", "size": "64"}
    still = client.post("/animate", files={"photo": FACE}, data=fields)
    assert still.headers["content-type"] == "image/png"
    assert max(Image.open(io.BytesIO(still.content)).size) == 64
    begun = client.post(
        "/animate",
        files={"photo": FACE},
        data={"size": "64", "wait": "false", "duration": "1", "fps": "6"},
    )
    assert begun.status_code == 202
    assert waited(client, begun.json()["job"])["state"] == "done"
    assert "AU99" in error_of(
        client.post("/animate", files={"photo": FACE}, data={"au": "AU99=1"}), 400
    )
    assert error_of(client.post("/animate", data={"recipe": "smile"}), 400).startswith("photo:")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Six frames of the sample face that moves a little, as GIF."""
    path = tmp_path_factory.mktemp("clip") / "clip.gif"
    face = Image.open(io.BytesIO(FACE))
    frames = [np.asarray(face.rotate(angle)) for angle in (0, 1, 2, 3, 2, 1)]
    write(iter(frames), 10, True, target_for(str(path)))
    return path.read_bytes()


def test_clips(client: TestClient, clip: bytes) -> None:
    said = client.post("/aus", files={"photo": clip}).json()
    assert said["fps"] == 10 and len(said["frames"]) == 6
    assert set(said["frames"][0]["expression"]) == set(aus.CHANNELS)
    answer = client.post("/animate", files={"photo": clip}, data={"au": "AU12=4"})
    assert answer.headers["content-type"] == "image/gif", answer.text
    assert Image.open(io.BytesIO(answer.content)).n_frames == 6


def test_transfer(client: TestClient, clip: bytes) -> None:
    fields = {"size": "64", "only": "mouth,brows"}
    moved = client.post("/transfer", files={"source": FACE, "target": clip}, data=fields)
    assert moved.headers["content-type"] == "image/gif", moved.text
    assert Image.open(io.BytesIO(moved.content)).n_frames == 6
    still = client.post(
        "/transfer",
        files={"source": FACE, "target": FACE},
        data={"size": "64", "format": "png", "still": "true"},
    )
    assert still.status_code == 200 and still.headers["content-type"] == "image/png"
    table = to_csv(ramp(5, 10)).encode()
    read = client.post("/transfer", files={"source": FACE, "target": table}, data=fields)
    assert read.status_code == 200, read.text
    bad = client.post("/transfer", files={"source": FACE, "target": clip}, data={"only": "moth"})
    assert "did you mean 'mouth'" in error_of(bad, 400)
    assert error_of(client.post("/transfer", files={"source": clip, "target": b"hi"}), 415)


def test_clips_beyond_the_limits(client: TestClient, tmp_path: Any) -> None:
    frames = pictures(4)
    path = tmp_path / "long.gif"
    write(iter(frames * 20), 10, True, target_for(str(path)))  # 80 frames of 70
    line = error_of(client.post("/animate", files={"photo": path.read_bytes()}), 413)
    assert "80 frames" in line
    film = tmp_path / "long.mp4"
    write(iter(frames * 20), 10, True, target_for(str(film)))  # 8 s of 6
    data = film.read_bytes()
    assert "longer than 6 s" in error_of(client.post("/animate", files={"photo": data}), 413)
    assert "longer than 6 s" in error_of(
        client.post("/transfer", files={"source": FACE, "target": data}), 413
    )
    wide = np.zeros((16, 320, 3), np.uint8)
    small = replace(SMALL, clip_side=256)
    write(iter([wide] * 4), 10, True, target_for(str(film)))
    with (
        pytest.raises(TooLargeError, match="256 pixels a side"),
        clip_of(film.read_bytes(), small, None, lambda: None),
    ):
        pass
    write(iter(frames * 2), 10, True, target_for(str(film)))
    half = film.read_bytes()[:700]
    assert error_of(client.post("/animate", files={"photo": half}), 400)


def test_no_upload_is_left_behind(
    client: TestClient, clip: bytes, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for target in (FACE, clip, b"ftyp", clip[:200]):
        client.post("/transfer", files={"source": FACE, "target": target}, data={"size": "64"})
    assert not list(tmp_path.iterdir())


def test_large_photos_are_kept_reduced(mesh: memegen.Animator) -> None:
    service = service_with(mesh, replace(SMALL, kept_side=120, photo_bytes=200_000))
    client = client_of(service)
    said = client.post("/photos", files={"photo": FACE}).json()
    assert (said["width"], said["height"]) == (120, 120)
    assert max(said["faces"][0]["box"]) < 120
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    big = picture_bytes(Image.fromarray(noise))
    assert "more than 0.4 MB" in error_of(client.post("/photos", files={"photo": big}), 413)
    service.close()
