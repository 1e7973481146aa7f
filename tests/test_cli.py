import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from support.command import RunCli
from support.faces import sample_face
from support.paths import ROOT, SAMPLE

from memegen import aus, weights


def test_version_and_help(run_cli: RunCli) -> None:
    assert run_cli("--version").out.startswith("memegen 0.")
    assert "animate" in run_cli("--help").out


def run_alone(args: list[str]) -> tuple[int, set[str], str]:
    """The exit code of a command in a process of its own, what it imported, its errors."""
    probe = (
        "import sys; sys.argv = ['memegen', *sys.argv[1:]]\n"
        "from memegen.cli.app import main\n"
        "try: main()\n"
        "finally: print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *args], capture_output=True, text=True, cwd=ROOT
    )
    return done.returncode, set(done.stdout.splitlines()[-1].split()), done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["recipes", "list"],
        ["aus", "--list"],
        ["animate", "--help"],
        ["weights", "list"],
        ["weights", "info", "mouth"],
    ],
)
def test_light_commands_do_not_import_torch(args: list[str]) -> None:
    code, loaded, said = run_alone(args)
    assert code == 0, said
    assert not {"torch", "torchvision", "facenet_pytorch"} & loaded


@pytest.mark.parametrize(
    "args",
    [
        ["animate", "none.jpg"],
        ["animate", "README.md"],
        ["animate", "examples/astronaut.png", "--recipe", "smle"],
        ["animate", "examples/astronaut.png", "--au", "AU99=3"],
        ["animate", "examples/astronaut.png", "-o", "a.foo"],
        ["animate", "examples/astronaut.png", "--crop", "hat"],
        ["animate", "examples/astronaut.png", "--size", "3"],
        ["animate", "examples/astronaut.png", "--device", "tpu"],
        ["animate", "examples/astronaut.png", "--model", "nope"],
        ["animate", "examples/astronaut.png", "--for", "nope"],
        ["animate", "examples/astronaut.png", "--intensity", "9"],
        ["transfer", "examples/astronaut.png", "none.mp4"],
        ["transfer", "none.jpg", "examples/mona_lisa.jpg"],
        ["transfer", "none.jpg", "examples/mona_lisa.jpg", "--dry-run"],
        ["transfer", "README.md", "examples/mona_lisa.jpg", "--dry-run"],
        ["preview", "none.jpg"],
        ["aus", "none.jpg"],
        ["faces", "none.jpg"],
        ["serve", "--model", "nope"],
    ],
)
def test_what_cannot_be_done_is_said_before_networks_are_loaded(args: list[str]) -> None:
    code, loaded, said = run_alone(args)
    assert code and len(said.splitlines()) == 1 and said.startswith("memegen: "), said
    assert not {"torch", "torchvision", "facenet_pytorch", "cv2"} & loaded


def test_recipes_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli) -> None:
    monkeypatch.chdir(tmp_path)
    assert "smile" in run_cli("recipes", "list").out
    assert "keyframes:" in run_cli("recipes", "show", "wink").out
    assert run_cli("recipes", "new", "mine").out.strip() == "mine.yaml"
    assert "ok" in run_cli("recipes", "check", "mine.yaml").out
    assert "exists already" in run_cli("recipes", "new", "mine", code=2).err
    (tmp_path / "mine.yaml").write_text("keyframes:\n  - {at: 0, expression: {AU99: 1}}")
    assert "mine.yaml:2" in run_cli("recipes", "check", "mine.yaml", code=2).err


def test_weights_are_listed_and_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    listed = run_cli("weights", "list").out.splitlines()
    assert {line.split()[0] for line in listed} == set(weights.SHIPPED)
    rows = json.loads(run_cli("weights", "list", "--json").out)
    assert {row["architecture"] for row in rows} == set(weights.SHIPPED)
    told = json.loads(run_cli("weights", "info", "mouth", "--json").out)
    loaded = weights.load("mouth", "mouth")
    assert told["numbers"] == sum(tensor.numel() for tensor in loaded.tensors.values())
    assert told["tensors"]["vertices"] == list(loaded.tensors["vertices"].shape)
    assert told["bytes"] == loaded.path.stat().st_size and "licence" in told["metadata"]
    assert "ICT-FaceKit" in run_cli("weights", "info", str(loaded.path)).out
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "anatomical.safetensors").write_bytes(
        weights.find("anatomical").read_bytes()
    )
    assert "anatomical" in run_cli("weights", "info", str(tmp_path / "run")).out
    assert "not found" in run_cli("weights", "info", "nix", code=4).err
    assert "damaged" in run_cli("weights", "info", str(SAMPLE), code=4).err
    monkeypatch.setenv("MEMEGEN_WEIGHTS", str(tmp_path))
    assert "no weights" in run_cli("weights", "list", code=4).err


def test_every_output_makes_its_folder(copy: Path, tmp_path: Path, run_cli: RunCli) -> None:
    photo, new = str(copy), tmp_path / "new"
    moving = tmp_path / "moving.gif"
    small = sample_face()
    small.save(moving, save_all=True, append_images=[small.rotate(2)], duration=100)
    model = ["--model", "mesh"]
    for name, args in {
        "a.csv": ["aus", photo, "--csv"],
        "b.csv": ["aus", str(moving), "--csv"],
        "c.csv": ["label", photo, "--cache", str(tmp_path / "cache"), "-o"],
        "d.png": ["animate", photo, "--still", "--size", "96", *model, "-o"],
        "e.csv": ["transfer", photo, str(moving), "--size", "96", *model, "-o", str(new / "e" / "e.gif"), "--save-track"],
        "f.yaml": ["transfer", photo, str(moving), "--size", "96", *model, "-o", str(new / "f" / "f.gif"), "--save-recipe"],
        "g.safetensors": ["weights", "export", "mouth", "--format", "safetensors", "-o"],
        "h.yaml": ["recipes", "new"],
    }.items():  # fmt: skip
        out = new / name[0] / name
        run_cli(*args, str(out))
        assert out.stat().st_size > 0
        others = {"e": {"e.gif"}, "f": {"f.gif"}}.get(name[0], set())
        assert {path.name for path in out.parent.iterdir()} == {name} | others
    many = new / "many"
    run_cli("animate", photo, str(moving), "--still", "--size", "96", *model, "-o", f"{many}/")  # fmt: skip
    assert len(list(many.iterdir())) == 2


def test_aus_list(run_cli: RunCli) -> None:
    table = run_cli("aus", "--list").out.splitlines()
    assert table[1].startswith("AU1 ")
    assert len(table) == 1 + len(aus.TABLE)
    assert len(json.loads(run_cli("aus", "--list", "--json").out)) == len(aus.TABLE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(SAMPLE.read_bytes())
    return path


def test_aus_of_an_animated_picture_are_a_table(copy: Path, run_cli: RunCli) -> None:
    with Image.open(copy) as image:
        small = image.convert("RGB").crop((100, 0, 400, 300))
    moving, table = copy.with_name("moving.gif"), copy.with_name("t.csv")
    other = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    small.save(moving, save_all=True, append_images=[other], duration=100)
    header, *rows = run_cli("aus", str(moving)).out.splitlines()
    assert "AU12_r" in header and "pose_Rx" in header
    assert len(rows) == 2
    run_cli("aus", str(moving), "--csv", str(table))
    assert len(json.loads(run_cli("aus", str(table), "--json").out)) == 2
    said = run_cli("aus", str(moving), "--face", "all", code=2).err
    assert "largest or a number" in said


def test_faces_and_aus_of_the_sample(copy: Path, run_cli: RunCli) -> None:
    faces = json.loads(run_cli("faces", str(copy), "--json").out)
    assert len(faces) == 1
    x, y, w, _ = faces[0]["box"]
    assert 160 < x < 200
    assert 50 < y < 100
    assert 60 < w < 120
    seen = json.loads(run_cli("aus", str(copy), "--json").out)[0]["action_units"]
    assert seen["AU12L"] > 2.5
    assert seen["AU45L"] < 2
    run_cli("aus", str(copy), "--csv", str(copy.with_suffix(".csv")))
    header, row = copy.with_suffix(".csv").read_text().splitlines()
    assert "AU12_r" in header.split(",")
    assert float(row.split(",")[header.split(",").index("AU12_r")]) > 2.5


def test_animate_defaults_beside_the_photo(copy: Path, run_cli: RunCli) -> None:
    out, _ = run_cli(
        "animate",
        str(copy),
        "--recipe",
        "blink",
        "--size",
        "160",
        "--duration",
        "0.5",
    )
    assert out.strip() == str(copy.with_name("photo_blink.gif"))
    with Image.open(out.strip()) as image:
        shown = sum(frame.info["duration"] for frame in ImageSequence.Iterator(image))
        assert shown == 480 and image.n_frames <= 12  # type: ignore[attr-defined]
        assert image.size == (160, 160)
        assert b"recipe blink" in image.info["comment"]


def test_animate_many_reports_each(copy: Path, tmp_path: Path, run_cli: RunCli) -> None:
    blank = tmp_path / "blank.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(blank)
    out = tmp_path / "out"
    out.mkdir()
    said = run_cli("animate", str(blank), str(copy), "--au", "AU12=0", "--still", "-f", "png",
                   "-o", str(out), "--size", "128", "--model", "mesh", code=6, notes=True).err  # fmt: skip
    assert [p.name for p in out.iterdir()] == ["photo_au.png"]
    assert "blank.png: no face found" in said


def test_bad_requests(copy: Path, tmp_path: Path, run_cli: RunCli) -> None:
    photo = str(copy)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "broken.yaml").write_text("name: x\nkeyframes: [")
    (tmp_path / "w").mkdir()
    Image.fromarray(np.full((80, 80, 3), 128, np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((1, 1, 3), 128, np.uint8)).save(tmp_path / "dot.png")
    before = sorted(p.name for p in tmp_path.iterdir())
    cases: list[tuple[list[str], int, str]] = [
        (["animate", str(tmp_path / "none.jpg")], 2, "no such file"),
        (["animate", str(tmp_path / "empty.jpg")], 1, "empty"),
        (["animate", str(tmp_path / "dot.png")], 2, "too few"),
        (["animate", str(tmp_path / "grey.png")], 3, "no face found"),
        (["animate", photo, "--face", "9000,10,50,50"], 2, "outside"),
        (["animate", photo, "--face", "4"], 3, "no face 4"),
        (["animate", photo, "--recipe", "simle"], 2, "did you mean 'smile'"),
        (["animate", photo, "--recipe", str(tmp_path / "broken.yaml")], 2, "broken.yaml:"),
        (["animate", photo, "--au", "AU99=1"], 2, "unknown action unit"),
        (["animate", photo, "--au", "AU12=9"], 2, "outside 0..5"),
        (["animate", photo, "--intensity", "nan"], 2, "outside"),
        (["animate", photo, "--fps", "0"], 2, "outside"),
        (["animate", photo, "-o", str(tmp_path / "broken.yaml" / "a.gif")], 2, "is no folder"),
        (["animate", photo, "-o", str(tmp_path / "a.bmp")], 2, "unknown output format"),
        (["animate", photo, "-o", photo], 2, "is a photo to animate"),
        (["animate", photo, "--size", "4"], 2, "--size"),
        (["animate", photo, "--model", "mash"], 2, "did you mean 'mesh'"),
        (["animate", photo, "--device", "tpu"], 2, "unknown device"),
        (["animate", photo, "--max-size", "lots"], 2, "--max-size"),
        (["animate"], 2, "Missing argument"),
        (["animate", photo, "--colour", "red"], 2, "No such option"),
        (["fly"], 2, "No such command"),
        (["aus"], 2, "name a photo"),
        (["train", str(tmp_path), "--model", "perception", "--out", str(tmp_path / "w" / "r")], 2, "labels.npz"),
        (["train", str(tmp_path), "--model", "percepton"], 2, "did you mean 'perception'"),
    ]  # fmt: skip
    for args, code, says in cases:
        _, err = run_cli(*args, code=code)
        assert says in err, (args, err)
    assert not (tmp_path / "w" / "r").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_missing_and_wrong_weights(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    shipped = weights.folder()
    other = tmp_path / "weights"
    other.mkdir()
    monkeypatch.setenv("MEMEGEN_WEIGHTS", str(other))
    assert "weights not found" in run_cli("aus", str(copy), code=4).err
    (other / "perception.safetensors").write_bytes(b"garbage")
    assert "damaged" in run_cli("aus", str(copy), code=4).err
    (other / "perception.safetensors").write_bytes((shipped / "anatomy.safetensors").read_bytes())
    assert "these weights are for 'anatomy'" in run_cli("aus", str(copy), code=4).err
    assert not copy.with_name("photo_smile.gif").exists()


def test_read_only_folder(copy: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli) -> None:
    monkeypatch.setattr("memegen.files.os.access", lambda *_: False)
    assert "no permission" in run_cli("animate", str(copy), code=2).err


def test_interrupt_leaves_nothing(
    copy: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    def interrupted(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("memegen.media.encode._run", interrupted)
    run_cli("animate", str(copy), "--size", "96", code=130)
    assert [p.name for p in copy.parent.iterdir()] == ["photo.png"]


def test_doctor(run_cli: RunCli) -> None:
    out, _ = run_cli("doctor")
    assert "ffmpeg version" in out
    assert "NOT OK" not in out


def test_same_names_do_not_overwrite_each_other(
    copy: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    other = tmp_path / "b" / "photo.png"
    other.parent.mkdir()
    other.write_bytes(copy.read_bytes())
    args = ["animate", str(copy), str(other), "-o", str(tmp_path)]
    assert "would both be written" in run_cli(*args, code=2).err


def test_once_ends_where_it_began(copy: Path, run_cli: RunCli) -> None:
    args = ["animate", str(copy), "--au", "AU26=5", "--once", "--fps", "4", "--size", "128", "-o"]
    run_cli(*args, str(copy.with_name("a.png")))
    with Image.open(copy.with_name("a.png")) as image:
        first = np.asarray(image.convert("RGB")).astype(int)
        image.seek(image.n_frames - 1)
        assert np.abs(np.asarray(image.convert("RGB")) - first).max() <= 1
        assert image.info["loop"] == 1


def test_still_and_size_limit(copy: Path, run_cli: RunCli) -> None:
    out, _ = run_cli("animate", str(copy), "--still", "--max-size", "60kB")
    path = Path(out.strip())
    assert path.name == "photo_smile.png"
    assert path.stat().st_size <= 60_000


def test_standard_output(copy: Path) -> None:
    command_line = [
        sys.executable,
        "-m",
        "memegen",
        "animate",
        str(copy),
        "-o",
        "-",
        "--size",
        "96",
        "--still",
        "-f",
        "png",
    ]
    done = subprocess.run(command_line, capture_output=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\x89PNG")
    assert not done.stderr
    assert [p.name for p in copy.parent.iterdir()] == ["photo.png"]
