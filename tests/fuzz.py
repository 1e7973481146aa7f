"""Damaged files and odd requests through the command's own entry point, seeded and repeatable.

    python tests/fuzz.py --count 3000 --seed 0        # some 25 minutes on one core
    python tests/fuzz.py --seed 0 --only 1234         # one case again, with what it said

Every case is a process forked from one that has imported everything, with a limit of time and of
memory. A case fails if it shows a traceback or an error that is nobody's, is ended by a signal or
by the limit of time, ends with a code that is not documented, leaves a half-written file or a child
behind, or says that it went well and has not written what was asked for.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
CODES = (0, 1, 2, 3, 4, 5, 6)  # of DESIGN section 5, without those of signals
SECONDS = 60.0  # that a case may take on a machine that does other things too
MEMORY = 3 << 30  # bytes that a case may map beyond what was mapped before it
FILE = 64 << 20  # bytes that a file may get
SIDE = 112  # pixels of the pictures that are damaged

Rng = random.Random


@dataclass
class Case:
    """What one seed asks for."""

    kind: str
    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    out: str | None = None  # what it is to write, if it goes well
    variables: dict[str, str] = field(default_factory=dict)  # of its environment


# --- damage -----------------------------------------------------------------------------------


def damaged(data: bytes, rng: Rng) -> bytes:
    """A file's bytes after one to three accidents."""
    body = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(ACCIDENTS)(body, rng)
    return bytes(body)


def _truncated(body: bytearray, rng: Rng) -> None:
    del body[int(len(body) * rng.random()) :]


def _flipped(body: bytearray, rng: Rng) -> None:
    for _ in range(rng.choice((1, 4, 64))):
        if body:
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def _garbled(body: bytearray, rng: Rng) -> None:
    at = rng.randrange(len(body) + 1)
    length = rng.choice((4, 32, 512))
    body[at : at + length] = rng.randbytes(length)


def _header(body: bytearray, rng: Rng) -> None:
    """Extreme numbers where sizes and counts stand."""
    number = rng.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000))
    width = 1 if number <= 0xFF else 2 if number <= 0xFFFF else 4
    at = rng.randrange(max(1, min(len(body), 256)))
    body[at : at + width] = number.to_bytes(width, rng.choice(("big", "little")))


def _doubled(body: bytearray, rng: Rng) -> None:
    at = rng.randrange(len(body) + 1)
    body[at:at] = body[at : at + rng.choice((16, 256, 4096))]


def _cut_out(body: bytearray, rng: Rng) -> None:
    at = rng.randrange(len(body) + 1)
    del body[at : at + rng.choice((1, 8, 200))]


def _followed(body: bytearray, rng: Rng) -> None:
    body += rng.randbytes(rng.choice((1, 100, 5000)))


def _blanked(body: bytearray, rng: Rng) -> None:
    at = rng.randrange(len(body) + 1)
    length = min(rng.choice((8, 64, 1024)), len(body) - at)
    body[at : at + length] = bytes([rng.choice((0, 0xFF, 0x20))]) * length


ACCIDENTS = (
    _truncated, _flipped, _flipped, _garbled, _header, _header, _doubled, _cut_out, _followed, _blanked,
)  # fmt: skip

WORDS = (
    "", "-1", "0", "1", "1e309", "nan", "-inf", "0x10", "1_000", "9" * 400, "true", "null", "~", "é😀", "\x00",
    "AU12", "AU99", "AU12L", "smile", "../..", "%d", "{}", "[]", "- -", ": :", "!!python/object:os.system", "&a", "*a",
    "<<", "|", ">", "'", '"', "\\", "\t", "\r", ",,,", ";", "=", "0.5", "5", "-5", "1e-9", "0,0,0,0", "2024-01-01",
)  # fmt: skip


def reworded(text: str, rng: Rng) -> str:
    """Text after accidents that a keyboard can have."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        match rng.randrange(8):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 2:
                lines[at] = lines[at].replace(" ", rng.choice(("", "  ", "\t", "\u00a0")), 1)
            case 3:
                parts = lines[at].split(rng.choice((",", ":", " ")))
                parts[rng.randrange(len(parts))] = rng.choice(WORDS)
                lines[at] = rng.choice((",", ":", " ")).join(parts)
            case 4:
                cut = rng.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:cut] + rng.choice(WORDS) + lines[at][cut:]
            case 5:
                lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
            case 6:
                deep = rng.choice((3, 50, 3000))
                lines[at] += rng.choice(("[", "{a: ", "- ")) * deep
            case _:
                digits = [i for i, c in enumerate(lines[at]) if c.isdigit()]
                if digits:
                    i = rng.choice(digits)
                    lines[at] = lines[at][:i] + rng.choice(WORDS) + lines[at][i + 1 :]
        text = "\n".join(lines) or " "
    return text


# --- material ---------------------------------------------------------------------------------


class Material:
    """Whole files of every kind, made once."""

    def __init__(self, folder: Path) -> None:
        with Image.open(ROOT / "examples" / "astronaut.png") as image:
            face = image.convert("RGB").crop((110, 0, 390, 280)).resize((SIDE, SIDE))
        self.photos = _photos(face)
        self.photo = self.photos["a.png"]
        self.clips = _clips([face.rotate(2 * i, translate=(i, 0)) for i in range(4)], folder)
        self.recipes = [path.read_text() for path in sorted((ROOT / "recipes").glob("*.yaml"))]
        self.tables = [_table(3), _table(3, whole=True), _openface()]
        self.weights = {
            path.stem: path.read_bytes()
            for path in sorted((ROOT / "weights").glob("*.safetensors"))
        }


def _photos(face: Image.Image) -> dict[str, bytes]:
    grey = Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257)
    return {
        "a.png": _saved(face, "PNG"),
        "b.jpg": _saved(face, "JPEG", exif=_turned()),
        "c.webp": _saved(face, "WEBP"),
        "d.tif": _saved(face, "TIFF", compression="tiff_lzw"),
        "e.bmp": _saved(face, "BMP"),
        "f.ppm": _saved(face, "PPM"),
        "g.png": _saved(grey, "PNG"),
        "h.gif": _saved(face, "GIF"),
        "i.jpg": _saved(face.convert("CMYK"), "JPEG"),
        "j.ico": _saved(face.resize((64, 64)), "ICO"),
        "k.jp2": _saved(face, "JPEG2000"),
        "l.tga": _saved(face, "TGA"),
        "m.png": _saved(face.convert("P"), "PNG"),
        "n.avif": _saved(face, "AVIF"),
    }


def _clips(frames: list[Image.Image], folder: Path) -> dict[str, bytes]:
    from memegen.media.encode import ffmpeg

    more = {"save_all": True, "append_images": frames[1:], "duration": 100}
    clips = {
        "a.gif": _saved(frames[0], "GIF", **more),
        "b.webp": _saved(frames[0], "WEBP", **more),
        "c.png": _saved(frames[0], "PNG", **more),
    }
    for i, frame in enumerate(frames):
        frame.save(folder / f"frame{i}.png")
    for name, *options in (
        ("d.mp4", "-pix_fmt", "yuv420p"),
        ("e.mkv", "-c:v", "ffv1"),
        ("f.avi", "-c:v", "mjpeg"),
        ("g.mov", "-c:v", "png"),
        ("h.webm", "-c:v", "libvpx", "-c:a", "libopus"),
        ("i.mpg", "-r", "25", "-c:v", "mpeg1video"),
        ("j.flv", "-c:v", "flv1", "-c:a", "pcm_s16le", "-ar", "44100"),
    ):
        line = [
            ffmpeg(), "-loglevel", "error", "-y", "-framerate", "10", "-i", str(folder / "frame%d.png"), "-f",
            "lavfi", "-i", "sine=d=0.4:sample_rate=48000", "-shortest", *options, str(folder / name),
        ]  # fmt: skip
        if subprocess.run(line, check=False, capture_output=True).returncode == 0:
            clips[name] = (folder / name).read_bytes()
    return clips


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **options)
    return data.getvalue()


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 1
    return exif


def _table(rows: int, whole: bool = False) -> str:
    from memegen import aus
    from memegen.performance.table import to_csv
    from memegen.performance.track import Performance

    random_ = np.random.default_rng(0)
    units = random_.uniform(0, 0.6, (rows, len(aus.CHANNELS))).astype(np.float32)
    heads = np.tile(np.array([50, 50, 3.4, 0], np.float32), (rows, 1))
    mesh = random_.uniform(0, 1, (rows, 478, 3)).astype(np.float32)
    return to_csv(Performance(10.0, units, np.ones(rows, np.float32), "t", mesh, heads), whole)


def _openface() -> str:
    header, *rows = _table(3).splitlines()
    return "\n".join([header.replace(",", ", "), *(row.replace(",", ", ") for row in rows)])


# --- cases ------------------------------------------------------------------------------------

SMALL = ("--size", "48", "--model", "mesh")
OUTS = ("o.gif", "o.mp4", "o.webp", "o.png", "o.jpg")


def _a_photo(material: Material, rng: Rng) -> Case:
    name = rng.choice(list(material.photos))
    bad = rng.choice((f"bad{Path(name).suffix}", "bad", "bad.jpg", f"bad{Path(name).suffix}"))
    files = {bad: damaged(material.photos[name], rng)}
    return _on(bad, files, material, rng)


def _a_clip(material: Material, rng: Rng) -> Case:
    name = rng.choice(list(material.clips))
    bad = rng.choice((f"bad{Path(name).suffix}", f"bad{Path(name).suffix}", "bad", "bad.mp4"))
    return _on(bad, {bad: damaged(material.clips[name], rng)}, material, rng)


def _on(bad: str, files: dict[str, bytes], material: Material, rng: Rng) -> Case:
    """A command that reads a file."""
    files = files | {"good.png": material.photo}
    out = rng.choice(OUTS)
    match rng.randrange(7):
        case 0:
            return Case("", ["faces", bad, *rng.choice(((), ("--json",)))], files)
        case 1:
            return Case("", ["aus", bad, *rng.choice(((), ("--json",)))], files)
        case 2:
            return Case("", ["aus", bad, "--csv", "o.csv"], files, "o.csv")
        case 3:
            line = ["animate", bad, *SMALL, "--au", "AU26=3", "--still", "-o", "o.png"]
            return Case("", line, files, "o.png")
        case 4:
            line = ["animate", bad, *SMALL, "--recipe", "blink", "--duration", "0.2", "-o", out]
            return Case("", line, files, out)
        case 5:
            return Case("", ["transfer", "good.png", bad, *SMALL, "-o", out], files, out)
        case _:
            line = ["transfer", bad, "good.png", *SMALL, "-o", out, "--end", "0.3"]
            return Case("", line, files, out)


def _a_recipe(material: Material, rng: Rng) -> Case:
    text = rng.choice(material.recipes)
    data = reworded(text, rng).encode("utf-8", "replace")
    if rng.random() < 0.2:
        data = damaged(data, rng)
    files = {"bad.yaml": data, "good.png": material.photo}
    if rng.random() < 0.7:
        return Case("", ["recipes", rng.choice(("check", "check", "show")), "bad.yaml"], files)
    out = rng.choice(("o.png", "o.gif"))
    still = (
        ["--still"] if out == "o.png" or rng.random() < 0.5 else ["--duration", "0.2", "--fps", "9"]
    )
    if out == "o.gif":
        still = ["--duration", "0.2", "--fps", "9"]
    line = ["animate", "good.png", *SMALL, "--recipe", "bad.yaml", *still, "-o", out]
    return Case("", line, files, out)


def _a_table(material: Material, rng: Rng) -> Case:
    text = rng.choice(material.tables)
    data = reworded(text, rng).encode("utf-8", "replace")
    if rng.random() < 0.2:
        data = damaged(data, rng)
    files = {"bad.csv": data, "good.png": material.photo}
    if rng.random() < 0.5:
        more = rng.choice(((), ("--json",), ("--face", "2"), ("--csv", "o.csv")))
        return Case("", ["aus", "bad.csv", *more], files, "o.csv" if "o.csv" in more else None)
    out = rng.choice(OUTS)
    more = rng.choice(
        ((), ("--start", "0.1"), ("--end", "0.1"), ("--save-track", "t.csv"), ("--absolute",))
    )
    return Case("", ["transfer", "good.png", "bad.csv", *SMALL, "-o", out, *more], files, out)


def _weights(material: Material, rng: Rng) -> Case:
    name = rng.choice(list(material.weights))
    body = bytearray(material.weights[name])
    head = bytearray(body[:8192])  # what it says of itself; numbers may be any
    damaged_head = damaged(bytes(head), rng)
    bad = rng.choice(("bad.safetensors", "bad.safetensors", "bad.pth"))
    files = {bad: damaged_head + bytes(body[8192:]), "good.png": material.photo}
    match rng.randrange(4):
        case 3:  # in the place of shipped ones
            files = {f"empty/{known}.safetensors": data for known, data in material.weights.items()}
            files |= {f"empty/{name}.safetensors": damaged_head + bytes(body[8192:])}
            files |= {"good.png": material.photo}
            line = [
                "animate",
                "good.png",
                "--size",
                "48",
                "--au",
                "AU26=3",
                "--still",
                "-o",
                "o.png",
            ]
            return Case("", line, files, "o.png", {"MEMEGEN_WEIGHTS": "empty"})
        case 0:
            return Case("", ["weights", "info", bad, *rng.choice(((), ("--json",)))], files)
        case 1:
            return Case(
                "", ["weights", "import", bad, "-o", "o.safetensors"], files, "o.safetensors"
            )
        case _:
            line = [
                "animate",
                "good.png",
                "--size",
                "48",
                "--model",
                bad,
                "--au",
                "AU26=3",
                "--still",
                "-o",
                "o.png",
            ]
            return Case("", line, files, "o.png")


VALUES = (
    "", "0", "1", "2", "-1", "0.2", "nan", "inf", "-inf", "1e99", "9" * 40, "abc", "😀", "a,b", "1,2,3,4", "40,20,50,60", "all",
    "largest", "smile", "smile+wink", "AU12=4", "AU12=4,AU12L=1", "AU51=5,AU52=5", "mouth", "8MB", "1kB", "png", "gif",
    "mp4", "jpg", "webp", "o.gif", "o.mp4", "new/o.png", "none.png", "good.png", "clip.gif", "t.csv", ".", "..", "/", "-",
    "mesh", "cpu", "tpu", "=", "--", "%s", "x" * 300, "\udcff",
)  # fmt: skip
OPTIONS = {
    "animate": (
        "--recipe", "--au", "-o", "--face", "--intensity", "--fps", "--duration", "--size", "--max-size", "--loop",
        "--once", "--still", "--absolute", "--mute", "-f", "--model", "--device",
    ),
    "transfer": (
        "-o", "--only", "--relative", "--absolute", "--neutral-frame", "--smooth", "--gain", "--detail", "--head",
        "--intensity", "--face", "--target-face", "--start", "--end", "--speed", "--boomerang", "--fps", "--size",
        "--max-size", "--compare", "--mute", "--save-track", "--save-recipe", "-f", "--verbose",
    ),
    "aus": ("--list", "--face", "--json", "--csv", "--device"),
    "faces": ("--json", "--device"),
    "recipes": ("list", "show", "check", "new"),
    "weights": ("list", "info", "import", "mix", "export", "--json", "--out", "--format"),
    "evaluate": ("--model", "--judge", "--reach", "--faces", "--sheet", "--expressions", "--frames", "--json"),
    "train": ("--model", "--steps", "--lr", "--init", "--resume", "--batch", "--out"),
    "label": ("--out", "--cache", "--workers", "--teacher"),
}  # fmt: skip
FLAGS = {
    "--loop", "--once", "--still", "--absolute", "--relative", "--mute", "--boomerang", "--compare", "--list", "--json",
    "--reach", "--resume", "--verbose", "list", "show", "check", "new", "info", "import", "mix", "export",
}  # fmt: skip
SENSIBLE = {
    "--recipe": "blink", "--au": "AU26=3", "-o": "o.gif", "--face": "1", "--intensity": "1.5", "--fps": "8",
    "--duration": "0.3", "--size": "48", "--max-size": "20kB", "-f": "png", "--model": "mesh", "--device": "cpu",
    "--only": "mouth,eyes", "--smooth": "2", "--gain": "AU12=2", "--start": "0.1", "--end": "0.3", "--speed": "2",
    "--neutral-frame": "1", "--detail": "0.5", "--head": "0.5", "--target-face": "1", "--csv": "o.csv",
    "--save-track": "new/t.csv", "--save-recipe": "new/r.yaml", "--steps": "1", "--workers": "1", "--frames": "2",
}  # fmt: skip


def _a_line(material: Material, rng: Rng) -> Case:
    command = rng.choice(("animate", "animate", "animate", "transfer", "transfer", *OPTIONS))
    line = [command]
    if command == "animate":
        line += [rng.choice(("good.png", "clip.gif", "good.png", *VALUES))]
        line += ["--duration", "0.2", "--size", "48", "--model", "mesh"]
    elif command == "transfer":
        line += [
            "good.png",
            rng.choice(("clip.gif", "t.csv", "good.png")),
            "--size",
            "48",
            "--model",
            "mesh",
        ]
    elif command in ("train", "evaluate", "label"):
        line += [
            rng.choice(("none", "t.csv", "empty", *VALUES[:12]))
        ]  # nothing to work on for long
    elif command in ("aus", "faces"):
        line += [rng.choice(("good.png", "clip.gif", "t.csv", *VALUES))]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        option = rng.choice(OPTIONS[command])
        line.append(option)
        if option not in FLAGS or rng.random() < 0.05:
            sensible = SENSIBLE.get(option)
            value = sensible if sensible and rng.random() < 0.5 else rng.choice(VALUES)
            line.append(value)
    if rng.random() < 0.15:
        line.insert(rng.randrange(len(line) + 1), rng.choice(VALUES))
    if rng.random() < 0.05:
        del line[rng.randrange(len(line))]
    table = material.tables[0].encode()
    files = {"good.png": material.photo, "clip.gif": material.clips["a.gif"], "t.csv": table}
    return Case("", [part.replace("\0", "") for part in line], files)


KINDS: dict[str, tuple[int, Callable[[Material, Rng], Case]]] = {
    "photo": (25, _a_photo),
    "clip": (20, _a_clip),
    "recipe": (15, _a_recipe),
    "table": (15, _a_table),
    "weights": (5, _weights),
    "line": (20, _a_line),
}


def case_of(material: Material, seed: int, index: int, kind: str | None = None) -> Case:
    """The case of a number, of one kind if that is given."""
    rng = Rng(f"{seed}:{index}")
    any_kind = rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    kind = kind or any_kind
    case = KINDS[kind][1](material, rng)
    case.kind = kind
    return case


# --- running ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a case ended."""

    code: int  # negative: by this signal
    seconds: float
    out: str
    err: str
    left: tuple[str, ...]  # files that are there and were not before
    children: bool  # whether it left processes behind
    late: bool  # ended by the limit of time


def run_case(case: Case, folder: Path) -> Ended:
    """Run a case in a fork of this process."""
    shutil.rmtree(folder, ignore_errors=True)
    place = folder / "work"
    place.mkdir(parents=True)
    (place / "empty").mkdir()
    for name, data in case.files.items():
        (place / name).write_bytes(data)
    before = set(case.files)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(case, folder, place)
    late, status = False, None
    while status is None:
        done, found = os.waitpid(child, os.WNOHANG)
        if done:
            status = found
        elif time.monotonic() - begun > SECONDS:
            late = True
            os.killpg(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
        else:
            time.sleep(0.005)
    seconds = time.monotonic() - begun
    children = False
    try:
        os.killpg(child, 0)
        time.sleep(0.2)  # who is about to end
        os.killpg(child, signal.SIGKILL)
        children = True
    except (ProcessLookupError, PermissionError):
        pass
    there = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    left = tuple(sorted(there - before))
    said = [(folder / name).read_text(errors="replace") for name in ("out", "err")]
    return Ended(os.waitstatus_to_exitcode(status), seconds, said[0], said[1], left, children, late)


def _become(case: Case, folder: Path, place: Path) -> None:
    """The rest of a forked process's life."""
    code = 70
    try:
        os.setsid()
        for number, name, mode in ((0, os.devnull, os.O_RDONLY), (1, "out", 0), (2, "err", 0)):
            path = name if number == 0 else str(folder / name)
            flags = mode if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            opened = os.open(path, flags, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.chdir(place)
        os.environ.update(case.variables)
        with open("/proc/self/statm") as statm:  # noqa: PTH123
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        from memegen.cli import app

        sys.argv = ["memegen", *case.arguments]
        try:
            app.main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def faults(case: Case, ended: Ended) -> list[str]:
    """What is wrong with how a case ended."""
    found = []
    if ended.late:
        found.append(f"not done after {SECONDS:g} s")
    elif ended.code < 0:
        found.append(f"ended by {signal.Signals(-ended.code).name}")
    elif ended.code not in CODES:
        found.append(f"exit code {ended.code}")
    if "Traceback" in ended.err or "Exception ignored" in ended.err:
        found.append("traceback")
    if "report it" in ended.err + ended.out:
        found.append("an error that is nobody's")
    if ended.code > 0 and not ended.err.strip() and not ended.out.strip():
        found.append("not a word about what is wrong")
    if any(Path(name).name.startswith(".memegen") or name.endswith(".part") for name in ended.left):
        found.append("a half-written file is left")
    if ended.children:
        found.append("a child is left")
    if case.out is not None and not ended.late and (ended.code == 0) != (case.out in ended.left):
        found.append("the output is there" if ended.code else "there is no output")
    return found


def _warm_up() -> None:
    """Run the command once, so that no case pays for what Python and torch load on first use."""
    from memegen.cli import app

    with tempfile.TemporaryDirectory() as folder:
        photo = ROOT / "examples" / "astronaut.png"
        options = ["--size", "48", "--au", "AU26=3", "--still", "-o", f"{folder}/o.png"]
        sys.argv = ["memegen", "animate", str(photo), *options]
        try:
            app.main()
        except SystemExit as left:
            assert left.code == 0, "the command does not even work"


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="one case, with what it said")
    parser.add_argument("--kind", choices=KINDS, help="cases of this kind alone")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    return parser.parse_args()


def _prepare() -> None:
    """Import everything, in one thread: a fork would lose others."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    import memegen.footage
    import memegen.pipeline  # noqa: F401

    Image.init()
    _warm_up()


def _tell(
    number: int, asked: argparse.Namespace, case: Case, ended: Ended, wrong: list[str]
) -> None:
    print(
        f"seed {asked.seed} case {number} ({case.kind}): {'; '.join(wrong) or 'ok'}\n"
        f"  {case.arguments!r} -> {ended.code}, {ended.seconds:.1f} s, left {ended.left}\n"
        f"  {ended.err[-1500:].strip() or ended.out[-300:].strip()}",
        flush=True,
    )
    if asked.only is not None and not wrong:
        print(ended.out[-2000:])


def main() -> int:
    """Run cases; returns how many of them failed, at most 100."""
    asked = _asked()
    _prepare()
    numbers = (
        [asked.only] if asked.only is not None else range(asked.first, asked.first + asked.count)
    )
    begun = time.monotonic()
    done, failed, slow = 0, 0, 0.0
    codes: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        material = Material(Path(temporary))
        for number in numbers:
            if time.monotonic() - begun > asked.minutes * 60:
                break
            case = case_of(material, asked.seed, number, asked.kind)
            ended = run_case(case, Path(temporary) / "case")
            wrong = faults(case, ended)
            done, failed = done + 1, failed + bool(wrong)
            slow = max(slow, ended.seconds)
            codes[ended.code] += 1
            if wrong or asked.only is not None:
                _tell(number, asked, case, ended, wrong)
    shares = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))
    print(
        f"{done} cases (from {numbers[0]}) in {time.monotonic() - begun:.0f} s, the slowest "
        f"{slow:.1f} s; exit codes {shares}; {failed} failed"
    )
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main())
