import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SAMPLE
from PIL import Image

from memegen import aus, weights
from memegen.cli import app as command

ROOT = Path(__file__).resolve().parent.parent


def run(*args: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[str, str]:
    """Run the command in this process; returns what it printed to stdout and stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["memegen", *args])
        patch.setattr(command.signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as left:
            command.main()
    said = capsys.readouterr()
    assert left.value.code == code, said.err
    assert "Traceback" not in said.err
    if code:
        assert len(said.err.strip().splitlines()) == 1, said.err
        assert said.err.startswith("memegen: ")
    return said.out, said.err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version", capsys=capsys)[0].startswith("memegen 0.")
    assert "animate" in run("--help", capsys=capsys)[0]


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
    probe = (
        "import sys; sys.argv = ['memegen', *sys.argv[1:]]\n"
        "from memegen.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "assert not {'torch', 'torchvision', 'facenet_pytorch'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *args], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_recipes_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "smile" in run("recipes", "list", capsys=capsys)[0]
    assert "keyframes:" in run("recipes", "show", "wink", capsys=capsys)[0]
    assert run("recipes", "new", "mine", capsys=capsys)[0].strip() == "mine.yaml"
    assert "ok" in run("recipes", "check", "mine.yaml", capsys=capsys)[0]
    assert "exists already" in run("recipes", "new", "mine", capsys=capsys, code=2)[1]
    (tmp_path / "mine.yaml").write_text("keyframes:\n  - {at: 0, expression: {AU99: 1}}")
    assert "mine.yaml:2" in run("recipes", "check", "mine.yaml", capsys=capsys, code=2)[1]


def test_weights_are_listed_and_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = run("weights", "list", capsys=capsys)[0].splitlines()
    assert {line.split()[0] for line in listed} == set(weights.SHIPPED)
    rows = json.loads(run("weights", "list", "--json", capsys=capsys)[0])
    assert {row["architecture"] for row in rows} == set(weights.SHIPPED)
    told = json.loads(run("weights", "info", "mouth", "--json", capsys=capsys)[0])
    loaded = weights.load("mouth", "mouth")
    assert told["numbers"] == sum(tensor.numel() for tensor in loaded.tensors.values())
    assert told["tensors"]["vertices"] == list(loaded.tensors["vertices"].shape)
    assert told["bytes"] == loaded.path.stat().st_size and "licence" in told["metadata"]
    assert "ICT-FaceKit" in run("weights", "info", str(loaded.path), capsys=capsys)[0]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "anatomical.safetensors").write_bytes(
        weights.find("anatomical").read_bytes()
    )
    assert "anatomical" in run("weights", "info", str(tmp_path / "run"), capsys=capsys)[0]
    assert "not found" in run("weights", "info", "nix", capsys=capsys, code=4)[1]
    assert "damaged" in run("weights", "info", str(SAMPLE), capsys=capsys, code=4)[1]
    monkeypatch.setenv("MEMEGEN_WEIGHTS", str(tmp_path))
    assert "no weights" in run("weights", "list", capsys=capsys, code=4)[1]


def test_every_output_makes_its_folder(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, new = str(copy), tmp_path / "new"
    moving = tmp_path / "moving.gif"
    with Image.open(copy) as image:
        small = image.convert("RGB").crop((110, 0, 390, 280))
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
        run(*args, str(out), capsys=capsys)
        assert out.stat().st_size > 0
        others = {"e": {"e.gif"}, "f": {"f.gif"}}.get(name[0], set())
        assert {path.name for path in out.parent.iterdir()} == {name} | others
    many = new / "many"
    run("animate", photo, str(moving), "--still", "--size", "96", *model, "-o", f"{many}/",
        capsys=capsys)  # fmt: skip
    assert len(list(many.iterdir())) == 2


def test_aus_list(capsys: pytest.CaptureFixture[str]) -> None:
    table = run("aus", "--list", capsys=capsys)[0].splitlines()
    assert table[1].startswith("AU1 ")
    assert len(table) == 1 + len(aus.TABLE)
    assert len(json.loads(run("aus", "--list", "--json", capsys=capsys)[0])) == len(aus.TABLE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(SAMPLE.read_bytes())
    return path


def test_aus_of_an_animated_picture_are_a_table(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open(copy) as image:
        small = image.convert("RGB").crop((100, 0, 400, 300))
    moving, table = copy.with_name("moving.gif"), copy.with_name("t.csv")
    other = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    small.save(moving, save_all=True, append_images=[other], duration=100)
    header, *rows = run("aus", str(moving), capsys=capsys)[0].splitlines()
    assert "AU12_r" in header and "pose_Rx" in header
    assert len(rows) == 2
    run("aus", str(moving), "--csv", str(table), capsys=capsys)
    assert len(json.loads(run("aus", str(table), "--json", capsys=capsys)[0])) == 2
    said = run("aus", str(moving), "--face", "all", capsys=capsys, code=2)[1]
    assert "largest or a number" in said


def test_faces_and_aus_of_the_sample(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faces = json.loads(run("faces", str(copy), "--json", capsys=capsys)[0])
    assert len(faces) == 1
    x, y, w, _ = faces[0]["box"]
    assert 160 < x < 200
    assert 50 < y < 100
    assert 60 < w < 120
    seen = json.loads(run("aus", str(copy), "--json", capsys=capsys)[0])[0]["action_units"]
    assert seen["AU12L"] > 2.5
    assert seen["AU45L"] < 2
    run("aus", str(copy), "--csv", str(copy.with_suffix(".csv")), capsys=capsys)
    header, row = copy.with_suffix(".csv").read_text().splitlines()
    assert "AU12_r" in header.split(",")
    assert float(row.split(",")[header.split(",").index("AU12_r")]) > 2.5


def test_animate_defaults_beside_the_photo(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(
        "animate",
        str(copy),
        "--recipe",
        "blink",
        "--size",
        "160",
        "--duration",
        "0.5",
        capsys=capsys,
    )
    assert out.strip() == str(copy.with_name("photo_blink.gif"))
    with Image.open(out.strip()) as image:
        assert image.n_frames == 12
        assert image.size == (160, 160)
        assert b"recipe blink" in image.info["comment"]


def test_animate_many_reports_each(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = tmp_path / "blank.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(blank)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["memegen", "animate", str(blank), str(copy), "--au", "AU12=0", "--still",
                                    "-f", "png", "-o", str(out), "--size", "128"])  # fmt: skip
        patch.setattr(command.signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as left:
            command.main()
    assert left.value.code == 6
    assert [p.name for p in out.iterdir()] == ["photo_au.png"]
    assert "blank.png: no face found" in capsys.readouterr().err


def test_bad_requests(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        _, err = run(*args, capsys=capsys, code=code)
        assert says in err, (args, err)
    assert not (tmp_path / "w" / "r").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_missing_and_wrong_weights(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = weights.folder()
    other = tmp_path / "weights"
    other.mkdir()
    monkeypatch.setenv("MEMEGEN_WEIGHTS", str(other))
    assert "weights not found" in run("aus", str(copy), capsys=capsys, code=4)[1]
    (other / "perception.safetensors").write_bytes(b"garbage")
    assert "damaged" in run("aus", str(copy), capsys=capsys, code=4)[1]
    (other / "perception.safetensors").write_bytes((shipped / "anatomy.safetensors").read_bytes())
    assert "these weights are for 'anatomy'" in run("aus", str(copy), capsys=capsys, code=4)[1]
    assert not copy.with_name("photo_smile.gif").exists()


def test_read_only_folder(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memegen.files.os.access", lambda *_: False)
    assert "no permission" in run("animate", str(copy), capsys=capsys, code=2)[1]


def test_interrupt_leaves_nothing(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("memegen.media.encode._run", interrupted)
    run("animate", str(copy), "--size", "96", capsys=capsys, code=130)
    assert [p.name for p in copy.parent.iterdir()] == ["photo.png"]


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run("doctor", capsys=capsys)
    assert "ffmpeg version" in out
    assert "NOT OK" not in out


def test_same_names_do_not_overwrite_each_other(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "b" / "photo.png"
    other.parent.mkdir()
    other.write_bytes(copy.read_bytes())
    args = ["animate", str(copy), str(other), "-o", str(tmp_path)]
    assert "would both be written" in run(*args, capsys=capsys, code=2)[1]


def test_once_ends_where_it_began(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["animate", str(copy), "--au", "AU26=5", "--once", "--fps", "4", "--size", "128", "-o"]
    run(*args, str(copy.with_name("a.png")), capsys=capsys)
    with Image.open(copy.with_name("a.png")) as image:
        first = np.asarray(image.convert("RGB")).astype(int)
        image.seek(image.n_frames - 1)
        assert np.abs(np.asarray(image.convert("RGB")) - first).max() <= 1
        assert image.info["loop"] == 1


def test_still_and_size_limit(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run("animate", str(copy), "--still", "--max-size", "60kB", capsys=capsys)
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
