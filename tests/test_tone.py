"""Photos without colours of their own keep none."""

import io

import numpy as np
import pytest
from PIL import Image

import memegen
from memegen import recipes
from memegen.arrays import LUMA, Picture
from memegen.generators.tone import tone_of
from memegen.photo import Photo


def grey(picture: Picture) -> Picture:
    return np.asarray(Image.fromarray(picture).convert("L").convert("RGB"))


def sepia(picture: Picture) -> Picture:
    """Through a JPEG in colour, as old photos are scanned."""
    toned = (grey(picture).astype(np.float32) / 255) ** np.array([0.8, 1.0, 1.3]) * 255
    file = io.BytesIO()
    Image.fromarray(toned.astype(np.uint8)).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file).convert("RGB"))


def test_colour_photos_have_no_tone(photo: Photo) -> None:
    assert tone_of(photo.rgb) is None
    alpha = np.full((*photo.rgb.shape[:2], 1), 255, np.uint8)
    assert tone_of(np.concatenate([grey(photo.rgb), alpha], 2)) is not None
    assert tone_of(np.zeros((4, 4, 4), np.uint8)) is None  # nothing to be seen


@pytest.mark.parametrize("made", [grey, sepia])
def test_a_tone_keeps_its_own_pixels_and_no_others(made, photo: Photo) -> None:  # type: ignore[no-untyped-def]
    picture = made(photo.rgb)
    tone = tone_of(picture)
    assert tone is not None
    source = np.abs(tone.keep(picture.astype(np.float32)) - picture)
    assert source.mean() < 1 and np.quantile(source, 0.99) < 5 * tone.stray  # noise is all it loses
    red = np.full((2, 2, 3), (150, 40, 40), np.float32)
    kept = tone.keep(red)
    assert kept @ LUMA == pytest.approx(red @ LUMA, abs=tone.stray)
    tint = tone.chroma[round(float(kept[0, 0] @ LUMA))]
    assert np.abs(kept - kept @ LUMA[:, None] - tint).max() <= 2 * tone.stray


@pytest.mark.parametrize("made", [grey, sepia])
def test_nothing_asked_is_the_toned_photo_itself(  # type: ignore[no-untyped-def]
    made, animator: memegen.Animator, photo: Photo
) -> None:
    source = Photo(made(photo.rgb), None)
    still = recipes.of_expression({"AU12": 0}).track()
    frame = next(iter(animator.animate(source, still)))
    assert np.abs(frame.astype(int) - source.rgb).max() <= 1


@pytest.mark.parametrize("model", ["mesh", "anatomical"])
def test_a_grey_face_yawns_grey(model: str, photo: Photo) -> None:
    track = recipes.load_track("yawn")
    track = track.frame(track.strongest())
    source = Photo(grey(photo.resized(256, 256).rgb), None)
    frame = next(iter(memegen.Animator(model, "cpu").animate(source, track)))
    assert np.abs(frame.astype(int) - source.rgb).max() > 60  # a mouth is open
    assert np.ptp(frame.astype(int), axis=2).max() <= 3
