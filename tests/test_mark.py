"""The visible mark: legible, in a corner, off faces and captions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command import RunCli
from support.faces import sample_face

from memegen.captions.caption import Caption
from memegen.captions.frames import drawn
from memegen.captions.mark import LEGIBLE, marked
from memegen.errors import UsageError
from memegen.frames import Frames
from memegen.geometry.box import Box

GREY = 90


def frames(
    size: tuple[int, int] = (400, 300),
    captions: tuple[Caption, ...] = (),
    faces: tuple[Box, ...] = (),
    channels: int = 3,
) -> Frames:
    picture = np.full((size[1], size[0], channels), GREY, np.uint8)
    return Frames(iter([picture, picture]), 2, size, 25.0, True, "", captions, faces)


def ink(made: Frames, before: Frames) -> Box:
    """Where frames differ from others, which both must show in every frame."""
    boxes = set()
    for one, other in zip(made, before, strict=True):
        rows, columns = np.nonzero((one != other).any(2))
        boxes.add(Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    assert len(boxes) == 1
    return boxes.pop()


def test_it_stands_in_the_corner_and_is_legible() -> None:
    for size in ((128, 128), (400, 300), (1280, 720)):
        box = ink(marked(frames(size), "made with memegen"), frames(size))
        height, width = box.shape
        assert height >= 0.7 * LEGIBLE and width < size[0]
        assert box.left > size[0] / 2 or size[0] < 200
        assert 0 <= size[1] - box.bottom < 0.05 * size[1]


def test_it_keeps_off_faces() -> None:
    face = Box(150, 120, 400, 300)
    box = ink(marked(frames(faces=(face,)), "memegen"), frames())
    assert box.right <= face.left
    left = Box(0, 120, 400, 300)
    assert ink(marked(frames(faces=(left,)), "memegen"), frames()).bottom <= 120


@pytest.mark.parametrize(
    "captions",
    [
        (Caption("bottom text of some length here"),),
        (Caption("top text of some length here", "top"), Caption("bottom text of some length")),
        (Caption("one bar", "below"),),
        (Caption("now", start=0.02), Caption("then", "top", end=0.02)),
    ],
)
def test_it_keeps_off_captions(captions: tuple[Caption, ...]) -> None:
    bare = list(drawn(frames(captions=captions)))
    made = list(marked(drawn(frames(captions=captions)), "made with memegen"))
    mark = ink_of(bare, made)
    plain = np.full_like(bare[0], GREY)
    for shown in bare:
        text = (shown != plain).any(2)
        assert not (text & mark).any()


def ink_of(before: list[np.ndarray], after: list[np.ndarray]) -> np.ndarray:
    changed = [(a != b).any(2) for a, b in zip(before, after, strict=True)]
    assert changed[0].any() and (changed[0] == changed[1]).all()
    return changed[0]


def test_transparent_frames_stay_transparent_beside_it() -> None:
    made = next(iter(marked(frames(channels=4), "memegen")))
    assert (made[:200] == GREY).all() and made[..., 3].max() == 255


def test_texts_are_checked() -> None:
    for text, said in (("", "needs a text"), ("  ", "needs a text"), ("x" * 61, "too many")):
        with pytest.raises(UsageError, match=said):
            marked(frames(), text)
    assert ink(marked(frames((46, 46)), "made with memegen"), frames((46, 46))).shape[1] <= 46
    with pytest.raises(UsageError, match="too long for a picture of 60x60"):
        marked(frames((60, 60)), "w" * 60)


def test_on_the_command_line(tmp_path: Path, run_cli: RunCli) -> None:
    photo = tmp_path / "p.png"
    sample_face().save(photo)
    line = ["animate", str(photo), "--au", "AU12=0", "--still", "--model", "mesh"]
    plain, own, usual = (tmp_path / f"{name}.png" for name in ("plain", "own", "usual"))
    run_cli(*line, "-o", str(plain), "--mark-text", "by Anna", "--no-mark")
    run_cli(*line, "-o", str(own), "--mark-text", "by Anna")
    run_cli(*line, "-o", str(usual), "--mark")
    widths = []
    bare = np.asarray(Image.open(plain).convert("RGB")).astype(int)
    for path in (own, usual):
        changed = (np.asarray(Image.open(path).convert("RGB")) != bare).any(2)
        assert changed.any()
        widths.append(np.ptp(np.nonzero(changed)[1]))
    assert 0 < widths[0] < widths[1]
    assert "--mark-text" not in run_cli(*line, "--mark-text", "x" * 61, code=2).out
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text(
        "defaults: {still: true, model: mesh}\njobs:\n"
        "- {photo: p.png, au: AU12=0, out: a.png, mark: true}\n"
        "- {photo: p.png, au: AU12=0, out: b.png, mark: by Anna}\n"
        "- {photo: p.png, au: AU12=0, out: c.png}\n"
    )
    run_cli("batch", str(jobs), notes=True)
    for name, same in (("a", usual), ("b", own), ("c", plain)):
        made = np.asarray(Image.open(tmp_path / f"{name}.png"))
        assert (made == np.asarray(Image.open(same))).all()
