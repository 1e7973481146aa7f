"""The whole path on the sample photo, with the shipped weights."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import memegen
from memegen import aus, recipes
from memegen.faces.align import align, five_points
from memegen.generators import generator_named, generator_names
from memegen.photo import Photo


def frames_of(animator: memegen.Animator, photo: Photo, **options: object) -> list[np.ndarray]:
    return list(animator.animate(photo, **options))  # type: ignore[arg-type]


def test_perception_of_the_sample(animator: memegen.Animator, photo: Photo) -> None:
    seen = animator.analyze(photo)[0]
    eyes = seen.analysis.alignment.to_photo(five_points(seen.analysis.landmarks)[:2])
    assert np.allclose(eyes, [[205, 101], [243, 101]], atol=6)
    assert align(five_points(seen.analysis.landmarks)).width == pytest.approx(1, abs=0.05)
    assert np.abs(seen.analysis.angles).max() < 15


def test_networks_that_were_let_go_come_back_when_they_are_needed(photo: Photo) -> None:
    own = memegen.Animator("mesh", "cpu")
    before, kept = own.analyze(photo)[0].analysis, weakref.ref(own.analyzer)
    own.release_analyzer()
    gc.collect()
    assert kept() is None
    own.release_analyzer()  # nothing to let go
    assert np.array_equal(own.analyze(photo)[0].analysis.landmarks, before.landmarks)


def test_nothing_asked_is_the_photo_itself(animator: memegen.Animator, photo: Photo) -> None:
    still = recipes.Recipe("still", (recipes.Keyframe(0, {}),), loop="once")
    (frame,) = frames_of(animator, photo, recipe=still)
    assert np.abs(frame.astype(int) - photo.rgb).max() <= 1


@pytest.mark.parametrize("name", ["smile", "scream", "shake", "wink", "eye-roll"])
def test_outside_the_mask_every_byte_is_the_photos(
    animator: memegen.Animator, photo: Photo, name: str, tmp_path: Path
) -> None:
    memegen.write(animator.animate(photo, name, fps=6), tmp_path / "a.png")
    seen = animator.analyze(photo)[0].analysis
    from memegen.geometry.box import Box
    from memegen.geometry.flow import ring_points
    from memegen.geometry.outline import fill

    ring = seen.alignment.to_photo(ring_points(seen.landmarks)[-36:])
    outside = fill(ring, Box(0, 0, 512, 512)) < 0.3
    moved = 0.0
    with Image.open(tmp_path / "a.png") as image:
        for index in range(image.n_frames):
            image.seek(index)
            frame = np.asarray(image.convert("RGB"))
            assert (frame[outside] == photo.rgb[outside]).all()
            moved = max(moved, float(np.abs(frame.astype(int) - photo.rgb).max()))
    assert moved > 30


def test_asked_for_expressions_are_seen_again(animator: memegen.Animator, photo: Photo) -> None:
    def reached(expression: str, channel: str) -> float:
        track = recipes.of_expression(aus.parse_expression(expression)).track(10)
        (frame,) = frames_of(animator, photo, recipe=track.frame(track.strongest()))
        again = animator.analyze(Photo(frame, None))[0].analysis.action_units
        return float(again[aus.INDEX[channel]]) * 5

    assert reached("AU12=5,AU25=3", "AU12L") > reached("AU12=0,AU25=0,AU10=0,AU6=0", "AU12L") + 1.5
    assert reached("AU26=5", "AU26") > reached("AU26=0,AU25=0", "AU26") + 1
    assert reached("AU45=5", "AU45L") > reached("AU45=0", "AU45L") + 1
    assert reached("AU51=3", "AU51") > reached("AU52=3", "AU51") + 1


def test_the_readme_example_with_a_mapping(animator: memegen.Animator, photo: Photo) -> None:
    frames = frames_of(animator, photo, au={"AU12": 4, "AU6": 2}, fps=3)
    assert len(frames) > 2
    with pytest.raises(memegen.UsageError, match="outside"):
        animator.animate(photo, au={"AU12": 9})
    with pytest.raises(memegen.UsageError, match="--fps"):
        animator.animate(photo, fps=0)


def test_options(animator: memegen.Animator, photo: Photo) -> None:
    small = animator.animate(photo, "smile", size=128, fps=5, duration=2)
    assert small.size == (128, 128)
    assert len(small) == len(list(small)) == 10
    calm = frames_of(animator, photo, au="AU26=5", intensity=0.0, fps=3)
    assert all(np.abs(f.astype(int) - photo.rgb).max() <= 1 for f in calm)


def test_turned_and_transparent_photos(animator: memegen.Animator, photo: Photo) -> None:
    turned = Photo(np.ascontiguousarray(np.rot90(photo.rgb[20:260, 90:370], 1)), None)
    alpha = np.full(photo.rgb.shape[:2], 255, np.uint8)
    alpha[:, 262:] = 0
    frames = frames_of(animator, Photo(photo.rgb, alpha), au="AU51=3", fps=4)
    assert frames[0].shape == (512, 512, 4)
    assert (frames[2][..., 3] != alpha).any()
    tilted = Image.fromarray(photo.rgb).rotate(25, resample=Image.Resampling.BICUBIC)
    seen = animator.analyze(Photo(np.asarray(tilted), None))[0]
    assert abs(np.degrees(np.arctan2(*seen.analysis.alignment.matrix[::-1, 0])) + 25) < 5
    lying = animator.analyze(turned)[0].analysis.alignment.matrix
    assert abs(abs(np.degrees(np.arctan2(lying[1, 0], lying[0, 0]))) - 90) < 8


def test_two_faces_in_one_picture(animator: memegen.Animator, photo: Photo) -> None:
    face = photo.rgb[20:250, 100:360]
    both = Photo(np.concatenate([face, face[:, ::-1]], 1), None)
    seen = animator.analyze(both, "all")
    assert len(seen) == 2
    all_moved = frames_of(animator, both, au="AU26=5", face="all", fps=3)[1]
    one_moved = frames_of(animator, both, au="AU26=5", face="2", fps=3)[1]
    changed = [np.abs(m.astype(int) - both.rgb).max((0, 2)) > 20 for m in (all_moved, one_moved)]
    assert changed[0][:260].any()
    assert changed[0][260:].any()
    assert changed[1][:260].any() != changed[1][260:].any()


def test_a_face_given_by_box(animator: memegen.Animator, photo: Photo) -> None:
    frames = frames_of(animator, photo, au="AU26=5", face="170,60,110,130", fps=3)
    assert np.abs(frames[1].astype(int) - photo.rgb).max() > 40


def test_a_face_at_the_photos_edge(animator: memegen.Animator, photo: Photo) -> None:
    cut = Photo(np.ascontiguousarray(photo.rgb[60:210, 160:300]), None)
    frames = frames_of(animator, cut, recipe="laugh", face="10,0,110,130", fps=5)
    assert all(f.shape == cut.rgb.shape for f in frames)


def test_registry() -> None:
    assert "mesh" in generator_names()
    assert generator_named("mesh").name == "mesh"
    with pytest.raises(memegen.UsageError, match="did you mean 'mesh'"):
        generator_named("mash")
