"""Batches: plans, manifests, and runs on the sample photo with small pictures."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.command import RunCli
from support.paths import SAMPLE

from memegen import batch
from memegen.batch import manifest, report, template
from memegen.batch.fingerprint import Fingerprints
from memegen.batch.jobs import Job, Outcome, Request, Settings, State
from memegen.batch.jobs_file import read_jobs
from memegen.batch.planning import photos_in, photos_listed
from memegen.batch.report import write_report
from memegen.batch.watch import arrivals
from memegen.captions import fonts
from memegen.errors import UsageError
from memegen.files import scratch, sweep
from memegen.media.formats import format_of
from memegen.media.platforms import platform_named, platforms

SMALL = Settings(size=48, fps=5, duration=0.6, model="mesh")


class Copying:
    """An engine that writes a few bytes, and counts what it was given."""

    def __init__(self, failing: str = "\0") -> None:
        self.failing, self.done = failing, []  # type: ignore[var-annotated]

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        for job in jobs:
            self.done.append(job)
            if self.failing in job.photo:
                yield Outcome(job, State.FAILED, error="no", exit_code=3)
                continue
            Path(job.out).write_bytes(job.played.encode())
            yield Outcome(job, State.DONE, 0.1, len(job.played))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two faces and what is no photo."""
    place = tmp_path / "photos"
    place.mkdir()
    with Image.open(SAMPLE) as image:
        small = image.convert("RGB").crop((110, 0, 390, 280)).resize((160, 160))
    small.save(place / "a.png")
    small.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(place / "b.jpg")
    small.save(place / "moving.gif", save_all=True, append_images=[small.rotate(9)])
    (place / "notes.txt").write_text("no photo")
    (place / ".hidden.png").write_bytes((place / "a.png").read_bytes())
    return place


def states(outcomes: Iterable[Outcome]) -> list[str]:
    return sorted(outcome.state.value for outcome in outcomes)


def test_names_of_outputs(tmp_path: Path) -> None:
    request = Request(
        ("in/a.b.jpg",),
        ("smile+wink",),
        out=f"{tmp_path}/{{parent}}-{{stem}}_{{recipe}}_{{number:03d}}_{{size}}.{{ext}}",
        settings=Settings(size=64, format="webp"),
    )
    assert Path(batch.plan([request])[0].out).name == "in-a.b_smile-wink_001_64.webp"
    assert batch.plan([Request(("x.jpg",), out=f"{tmp_path}/new/")])[0].out == (
        f"{tmp_path}/new/x_smile.gif"
    )
    long = batch.plan([Request((f"{'ä' * 126}.jpg",), out=f"{tmp_path}/{{stem}}_{{recipe}}.gif")])
    assert len(os.fsencode(Path(long[0].out).name)) <= 255 and long[0].out.endswith("ä_smile.gif")


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("{stam}.gif", "unknown field '{stam}', did you mean 'stem'?"),
        ("{stem.gif", "output '{stem.gif'"),
        ("{stem.__class__}.gif", "unknown field"),
        ("{stem:d}.gif", "output '{stem:d}.gif'"),
        ("{}.gif", "unknown field"),
        ("{stem}", "no suffix"),
    ],
)
def test_templates_that_cannot_be(out: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        batch.plan([Request(("a.jpg",), out=out)])
    assert told in str(error.value) and "\n" not in str(error.value)


def test_every_field_is_filled(tmp_path: Path) -> None:
    names = "".join(f"{{{name}}}" for name in template.FIELDS if name != "folder")
    (job,) = batch.plan([Request(("p/q.jpg",), out=f"{tmp_path}/{names}.gif")])
    assert Path(job.out).name == "qjpgpsmilegif1fullanatomical.gif"


def test_plans_refuse_what_would_overwrite(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="would both be written there"):
        batch.plan([Request(("x/a.jpg", "y/a.jpg"), out=f"{tmp_path}/")])
    with pytest.raises(UsageError, match="is a photo to animate"):
        batch.plan([Request(("a.png",), out="{stem}.png", settings=Settings(still=True))])
    with pytest.raises(UsageError, match="did you mean 'smile'"):
        batch.plan([Request(("a.png",), ("smlie",))])
    twice = Request(("a.jpg", "a.jpg"), ("smile", "smile"))
    assert len(batch.plan([twice, twice])) == 1


def test_a_platform_says_format_crop_and_limit(tmp_path: Path) -> None:
    asked = Settings(platform="discord-emoji")
    (job,) = batch.plan([Request(("a.jpg",), out=f"{tmp_path}/", settings=asked)])
    wanted = platform_named("discord-emoji")
    assert format_of(job.out) is wanted.output and job.settings.crop == wanted.crop
    assert job.settings.max_size == str(wanted.bytes)
    assert job.settings.side(wanted.output) == max(wanted.exact or wanted.most)
    with pytest.raises(UsageError, match="discord-emoji is a"):
        batch.plan([Request(("a.jpg",), out=f"{tmp_path}/a.mp4", settings=asked)])
    with pytest.raises(UsageError, match="did you mean 'discord-emoji'"):
        batch.plan([Request(("a.jpg",), settings=Settings(platform="discord-emjoi"))])


def test_jobs_of_a_photo_come_together(tmp_path: Path) -> None:
    requests = [Request(("a.jpg", "b.jpg"), (name,)) for name in ("smile", "wink")]
    jobs = batch.plan(requests)
    assert [(j.photo, j.recipe) for j in jobs] == [
        ("a.jpg", "smile"), ("a.jpg", "wink"), ("b.jpg", "smile"), ("b.jpg", "wink")
    ]  # fmt: skip


def test_lists_and_folders(folder: Path) -> None:
    assert photos_listed(["# all\n", "\n", "a b.jpg\r\n", "c.png"]) == ["a b.jpg", "c.png"]
    assert [Path(path).name for path in photos_in(folder)] == ["a.png", "b.jpg"]
    stills = Request(tuple(photos_in(folder)), settings=Settings(still=True))
    assert states(batch.run(batch.plan([stills]), Copying())) == ["done", "done"]
    names = [Path(path).name for path in photos_in(folder)]
    assert names == ["a.png", "b.jpg"], "what a batch has written there is no photo"


JOBS = """\
defaults: {size: 64, out: "out/{stem}_{recipe}.{ext}", recipe: wink}
jobs:
  - {photos: [., "*.jpg"], recipes: [smile, my.yaml], intensity: 1.5}
  - photo: a.png
    au: "AU12=4"
    size: 32
    format: webp
"""


def test_a_file_of_jobs(folder: Path) -> None:
    file = folder / "jobs.yaml"
    file.write_text(JOBS)
    first, second = read_jobs(file)
    assert [Path(path).name for path in first.photos] == ["a.png", "b.jpg", "b.jpg"]
    assert first.recipes == ("smile", str(folder / "my.yaml")) and first.au is None
    assert (first.settings.size, first.settings.intensity) == (64, 1.5)
    assert first.out == f"{folder}/out/{{stem}}_{{recipe}}.{{ext}}" and first.origin == f"{file}:3"
    assert second.au == "AU12=4" and second.settings == Settings(size=32, format="webp")
    over = read_jobs(file, {"size": 99, "recipes": ["nod"]})
    assert (over[0].settings.size, over[1].settings.size) == (99, 32)
    assert over[0].recipes[0] == "smile" and over[1].au == "AU12=4"


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("jobs:\n  - {photo: a.png, recpie: smile}", 2, "did you mean 'recipe'?"),
        ("default: {}\njobs: []", 1, "did you mean 'defaults'?"),
        ("- photo: a.png\n  size: big", 2, "'big' is not a number"),
        ("- photo: a.png\n  size: 64.5", 2, "no whole number"),
        ("- photo: a.png\n  intensity: 9", 2, "outside 0..3"),
        ("- recipe: smile", 1, "needs 'photo'"),
        ("- {photo: a.png, photos: [a.png]}", 1, "give one"),
        ("- {photo: a.png, recipe: smile, au: AU12=1}", 1, "not both"),
        ("- photo: a.png\n- photo: a.png\n  max_size: huge", 2, "max_size"),
        ("- photo: a.png\n- photo: '*.tiff'", 2, "no photos there"),
        ("- photo: a.png\n  still: maybe", 2, "neither true nor false"),
        ("- photo: a.png\n- {photo: a.png, out: '{x}.gif'}", 2, "unknown field '{x}'"),
        ("jobs:\n  - [", 2, "not valid YAML"),
        ("[]", 1, "at least one job"),
    ],
)  # fmt: skip
def test_mistakes_in_a_file_of_jobs(folder: Path, text: str, line: int, told: str) -> None:
    file = folder / "jobs.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        read_jobs(file)
    message = str(error.value)
    assert told in message and message.startswith(f"{file}:") and "\n" not in message
    assert message.startswith(f"{file}:{line}:") or "YAML" in told
    missing = "- photo: a.png\n- photo: a.png\n  recipe: smlie"
    file.write_text(missing)
    with pytest.raises(UsageError, match=r"jobs.yaml:2: unknown recipe"):
        batch.plan(read_jobs(file))


def test_what_is_up_to_date_is_passed_over(folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("keyframes: [{at: 0, expression: {AU12: 1}}]")

    def run(settings: Settings = SMALL, again: bool = False, failing: str = "\0") -> list[str]:
        photos = tuple(photos_in(folder))
        request = Request(photos, ("smile", str(recipe)), out=f"{tmp_path}/o/", settings=settings)
        return states(batch.run(batch.plan([request]), Copying(failing), again))

    assert run(failing="b.jpg") == ["done", "done", "failed", "failed"]
    assert run() == ["current", "current", "done", "done"]
    assert run() == ["current"] * 4
    note = tmp_path / "o" / manifest.NAME
    for _ in range(2):  # the manifest stays, however old it is
        os.utime(note, (time.time() - 3600,) * 2)
        assert run() == ["current"] * 4 and note.exists()
    assert run(again=True) == ["done"] * 4
    assert run(Settings(size=49)) == ["done"] * 4
    assert run(Settings(size=49)) == ["current"] * 4
    recipe.write_text("keyframes: [{at: 0, expression: {AU12: 2}}]")
    assert run(Settings(size=49)) == ["current", "current", "done", "done"]
    (tmp_path / "o" / "a_smile.gif").unlink()
    (tmp_path / "o" / "b_smile.gif").write_bytes(b"cut o")
    (tmp_path / "o" / "b_smile.gif").write_bytes(b"cut")
    assert run(Settings(size=49)) == ["current", "current", "done", "done"]
    with Image.open(folder / "a.png") as image:
        image.rotate(3).save(folder / "a.png")
    assert run(Settings(size=49)) == ["current", "current", "done", "done"]


def test_other_weights_are_other_outputs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMEGEN_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / "perception.safetensors"
    jobs = batch.plan([Request((str(folder / "a.png"),), out=f"{tmp_path}/o/")])
    found = []
    for content in (b"one", b"one", b"two"):
        file.write_bytes(content)
        found += states(batch.run(jobs, Copying()))
    assert found == ["done", "current", "done"]


def test_everything_that_changes_the_output_counts(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change gives another fingerprint, and nothing else does."""
    recipe = tmp_path / "said.yaml"
    recipe.write_text("keyframes: [{at: 0, expression: {AU12: 1}}]\ncaptions: [{text: hi}]")
    font = tmp_path / "mine.ttf"
    shutil.copyfile(fonts.folder() / "anton.ttf", font)
    photo = str(folder / "a.png")

    def print_of(name: str = "smile", **settings: Any) -> str:
        (job,) = batch.plan(
            [Request((photo,), (name,), out=f"{tmp_path}/", settings=Settings(**settings))]
        )
        return Fingerprints().of(job)

    captions: list[dict[str, Any]] = [
        {},
        {"top": "a"},
        {"top": "b"},
        {"bottom": "a"},
        {"caption": "a"},
        {"caption": "a", "caption_at": "below"},
        {"top": "a", "caption_style": "plain"},
        {"top": "a", "font": "oswald-bold"},
        {"top": "a", "font": str(font)},
        {"platform": "discord-emoji"},
    ]
    prints = [print_of(**said) for said in captions] + [print_of(str(recipe))]
    assert len(set(prints)) == len(prints)
    assert prints == [print_of(**said) for said in captions] + [print_of(str(recipe))]
    shutil.copyfile(fonts.folder() / "oswald-bold.ttf", tmp_path / "new.ttf")
    (tmp_path / "new.ttf").replace(font)  # never in place: the old one is mapped into memory
    changed = [print_of(**said) != before for said, before in zip(captions, prints, strict=False)]
    assert [said for said, other in zip(captions, changed, strict=True) if other] == [captions[8]]
    rows = dict(platforms())
    old = rows["discord-emoji"]
    other_limit = {**rows, "discord-emoji": replace(old, frames=7)}
    told_later = {**rows, "discord-emoji": replace(old, as_of="2099-01-01")}
    for table, same in ((told_later, True), (other_limit, False)):
        monkeypatch.setattr("memegen.media.platforms.platforms", lambda table=table: table)
        assert (print_of(platform="discord-emoji") == prints[9]) is same
    monkeypatch.setattr("memegen.captions.fonts.SHIPPED", fonts.SHIPPED[::-1])
    assert print_of(str(recipe)) == prints[-1], "a font that draws none of its letters"
    shipped = fonts.folder()
    monkeypatch.setattr("memegen.captions.fonts.folder", lambda: tmp_path / "fonts")
    shutil.copytree(shipped, tmp_path / "fonts")
    with (tmp_path / "fonts" / "anton.ttf").open("ab") as file:
        file.write(b"\0")  # a newer one
    assert print_of(str(recipe)) != prints[-1] and print_of() == prints[0]


def test_captions_of_jobs(folder: Path) -> None:
    file = folder / "jobs.yaml"
    file.write_text(
        "defaults: {top: all, font: fonts/My.TTF, caption_at: below}\n"
        "jobs:\n  - {photo: a.png, bottom: one, caption: '1'}\n  - {photo: b.jpg, font: anton}\n"
    )
    with pytest.raises(UsageError, match=r"jobs.yaml:3: .*fonts/My.TTF: no such font file"):
        read_jobs(file)
    (folder / "fonts").mkdir()
    shutil.copyfile(fonts.folder() / "anton.ttf", folder / "fonts" / "My.TTF")
    first, second = (request.settings for request in read_jobs(file, {"top": "said here"}))
    assert (first.top, first.bottom, first.caption) == ("said here", "one", "1")
    assert first.font == str(folder / "fonts" / "My.TTF") and first.caption_at == "below"
    assert (second.font, second.bottom) == ("anton", None)
    for text, told in (
        ("caption_at: abov", "did you mean 'above'?"),
        ("caption_style: mem", "did you mean 'meme'?"),
        (f"top: {'a' * 1001}", "`top`: 1001 characters are too many"),
    ):
        file.write_text(f"- photo: a.png\n- photo: a.png\n  {text}")
        with pytest.raises(UsageError) as error:
            read_jobs(file)
        assert told in str(error.value) and str(error.value).startswith(f"{file}:")


def test_a_broken_line_of_the_manifest_is_ignored(tmp_path: Path) -> None:
    notes = manifest.Manifests()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"123")
        notes.done(str(tmp_path / name), name * 3, 3)
    file = tmp_path / manifest.NAME
    file.write_bytes(file.read_bytes()[:-9])  # the kill came in the middle of a line
    again = manifest.Manifests()
    assert again.is_current(str(tmp_path / "a"), "aaa")
    assert not again.is_current(str(tmp_path / "b"), "bbb")
    again.done(str(tmp_path / "b"), "bbb", 3)
    assert manifest.Manifests().is_current(str(tmp_path / "b"), "bbb")
    for _ in range(20):
        again.done(str(tmp_path / "a"), "aaa", 3)
    assert manifest.Manifests().is_current(str(tmp_path / "a"), "aaa")
    assert len(file.read_text().splitlines()) == 2, "written anew, without what is out of date"


def test_only_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    dead = tmp_path / ".memegen-0123456789abcdef.gif"
    dead.touch()
    just_made = tmp_path / ".memegen-0123456789abcde0.fresh"
    with scratch(tmp_path) as living:
        swept = subprocess.run(
            [sys.executable, "-c", f"from memegen.files import *; print(sweep(Path({str(tmp_path)!r})))"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert swept.stdout.strip() == "1" and living.exists() and not dead.exists()
    just_made.touch()  # somebody is about to lock it, or died on the way
    assert sweep(tmp_path) == 0 and just_made.exists()
    os.utime(just_made, (time.time() - 60,) * 2)
    assert sweep(tmp_path) == 1 and list(tmp_path.iterdir()) == []


def test_photos_that_arrive(folder: Path) -> None:
    def step(_: float) -> None:
        changes.pop(0)()

    new = folder / "new.png"
    half = (folder / "a.png").read_bytes()
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: new.write_bytes(half[:100]),
        lambda: new.write_bytes(half),
        lambda: None,
        lambda: None,
    ]
    looks = arrivals(folder, wait=step)
    found = [[Path(path).name for path in next(looks)] for _ in range(6)]
    assert found == [[], ["a.png", "b.jpg"], [], [], ["new.png"], []]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_real_runs_and_the_report(folder: Path, tmp_path: Path) -> None:
    """Two threads, one photo that is none; the same bytes as `animate` gives."""
    import memegen
    from memegen.photo import read_photo

    (folder / "bad.png").write_bytes(b"no picture")
    out = tmp_path / "o ü'#%"
    request = Request(tuple(photos_in(folder)), ("smile", "wink"), out=f"{out}/", settings=SMALL)
    engine = batch.LocalEngine(2, "cpu")
    outcomes = list(batch.run(batch.plan([request]), engine))
    assert states(outcomes) == ["done"] * 4 + ["failed"] * 2
    assert {o.exit_code for o in outcomes if o.state is State.FAILED} == {1}
    single = memegen.Animator("mesh", "cpu").animate(
        read_photo(folder / "b.jpg"), "wink", size=48, fps=5, duration=0.6
    )
    memegen.write(single, tmp_path / "single.gif")
    assert (out / "b_wink.gif").read_bytes() == (tmp_path / "single.gif").read_bytes()
    assert states(batch.run(batch.plan([request]), engine)) == ["current"] * 4 + ["failed"] * 2
    sheet = tmp_path / "sheet.html"
    write_report(sheet, outcomes)
    text = sheet.read_text(encoding="utf-8")
    assert "http://" not in text and "https://" not in text and "4 done, 2 failed" in text
    page = Page()
    page.feed(text)
    images = [attrs["src"] for tag, attrs in page.found if tag == "img"]
    assert len(images) == 4 and all(src.startswith("data:image/webp;base64,") for src in images)
    from base64 import b64decode
    from urllib.parse import unquote

    with Image.open(io.BytesIO(b64decode(images[0].split(",")[1]))) as shown:
        assert shown.n_frames > 1 and max(shown.size) <= report.SIDE
    links = [
        a["href"] for tag, a in page.found if tag == "a" and not str(a["href"]).startswith("#")
    ]
    assert {(tmp_path / unquote(link)).resolve() for link in links} == {
        path for path in out.resolve().iterdir() if path.suffix == ".gif"
    }


def test_the_command(
    folder: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.png").write_bytes(b"no picture")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{folder}/a.png\n# no\n{folder}/bad.png\n"))
    same = ["--size", "48", "--fps", "5", "--model", "mesh", "--still"]
    same += ["--top", "hi", "--caption", "the code", "--caption-at", "below", "--font", "anton"]
    sheet = tmp_path / "sheet.html"
    asked = ["-r", "smile,wink", *same, "-o", f"{tmp_path}/o/"]
    said = run_cli("batch", "-", *asked, "--json", "--report", str(sheet), code=6, notes=True)
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert sorted(row["state"] for row in rows) == ["done", "done", "failed", "failed"]
    assert said.err.count("bad.png: not a picture") == 2 and "2 done, 2 failed" in said.err
    assert sheet.exists()
    run_cli("animate", f"{folder}/a.png", "-r", "wink", *same, "-o", f"{tmp_path}/one.png")
    assert (tmp_path / "o" / "a_wink.png").read_bytes() == (tmp_path / "one.png").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.height > 48 == image.width, "it has a bar"
    said = run_cli("batch", f"{folder}/a.png", *asked)
    assert said.out == "" and "2 up to date" in said.err
    said = run_cli("batch", str(folder), "-o", "{stam}.gif", code=2)
    assert "did you mean 'stem'" in said.err
    run_cli("batch", str(folder), "-r", "smile", "--au", "AU12=2", code=2)
    run_cli("batch", f"{folder}/a.png", "--watch", code=2)
    run_cli("batch", f"{folder}/a.png", "--caption-at", "up", code=2)


@pytest.mark.slow
def test_killed_and_gone_on(folder: Path, tmp_path: Path) -> None:
    """SIGKILL when some outputs are there: the rest is made, nothing that was noted again."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "memegen", "batch", str(folder), "--model", "mesh"]
    command += [
        "-r",
        "smile,wink,nod,pout",
        "--size",
        "64",
        "--fps",
        "8",
        "--workers",
        "1",
        "-o",
        f"{out}/",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None and process.stdout.readline()  # one is done
    process.send_signal(signal.SIGKILL)
    process.communicate()
    noted = {e.out for e in manifest.read(out).values() if e.fingerprint}
    before = {name: (out / name).stat().st_mtime_ns for name in noted}
    assert noted and len(noted) < 8
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{8 - len(noted)} done, {len(noted)} up to date" in ended.stderr
    assert {name: (out / name).stat().st_mtime_ns for name in noted} == before
    outputs = sorted(path for path in out.iterdir() if path.suffix == ".gif")
    assert len([path for path in outputs if not path.name.startswith(".")]) == 8
    for path in outputs:
        if not path.name.startswith("."):
            with Image.open(path) as image:
                image.seek(image.n_frames - 1)
