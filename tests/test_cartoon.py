"""The renderer of drawn faces: exact, continuous, every number of the pose seen; crops; poses."""

from dataclasses import replace

import numpy as np
import pytest

from memegen import aus, recipes
from memegen.cartoon import (
    MORPH,
    POSE,
    ROTATE,
    face_box,
    pose_of,
    render,
    render_pair,
    sample_style,
)
from memegen.cartoon.crop import FACE_SHARE, Crop
from memegen.cartoon.pose import HIGH, INDEX, LOW, MOST_LEAN, sample_pose
from memegen.cartoon.style import GENRES

SIZE = 128
REST = np.zeros(len(POSE), np.float32)


def plain(seed=0, genre="anime"):
    """A character looking straight ahead, whose brows and eyes nothing hides."""
    rng = np.random.default_rng(seed)
    style = sample_style(rng, genre)
    finish = replace(style.finish, medium="color", blur=0.0, noise=0.0, grain=0.0, jpeg=0)
    return replace(
        style,
        finish=finish,
        rest=(0.0,) * len(POSE),
        hair=replace(style.hair, front="none", locks=0.0, beard="none"),
        brow=replace(style.brow, kind="taper", color=(0, 0, 0)),
        extras=replace(style.extras, glasses="none", hat="none"),
        eye=replace(style.eye, kind="anime", white=(255, 255, 255), color=(0, 0, 0), lid=None),
        face=replace(style.face, skin=(230, 180, 150)),
    )


def posed(**numbers):
    pose = REST.copy()
    for name, value in numbers.items():
        pose[INDEX[name]] = value
    return pose


def changed(style, pose):
    a, b = render(style, REST, SIZE).astype(int), render(style, pose, SIZE).astype(int)
    return np.abs(a - b).max(-1) > 8


def test_equal_styles_and_poses_give_equal_bytes():
    for seed in range(4):
        first, second = (sample_style(np.random.default_rng(seed)) for _ in range(2))
        assert first == second
        pose = sample_pose(np.random.default_rng(seed))
        picture = render(first, pose, SIZE)
        assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
        assert picture.tobytes() == render(second, pose, SIZE).tobytes()


@pytest.mark.parametrize("genre", list(GENRES))
def test_every_kind_of_drawing_is_drawn_in_any_pose(genre):
    rng = np.random.default_rng(5)
    for _ in range(4):
        style = sample_style(rng, genre)
        before, after = render_pair(style, sample_pose(rng), SIZE)
        assert before.std() > 5 and after.std() > 5


def test_characters_differ():
    pictures = {
        render(sample_style(np.random.default_rng(i)), REST, 32).tobytes() for i in range(12)
    }
    assert len(pictures) == 12


@pytest.mark.parametrize("name", POSE)
def test_every_number_of_the_pose_is_seen(name):
    style = plain()
    assert changed(style, posed(**{name: HIGH[INDEX[name]]})).sum() > 15
    if LOW[INDEX[name]] < 0:
        assert changed(style, posed(**{name: LOW[INDEX[name]]})).sum() > 15


def test_an_eye_closes_by_itself_and_more_and_more():
    style = plain(3)
    whites = []
    for closed in (0.0, 0.3, 0.6, 0.9):
        picture = render(style, posed(left_eye=closed), SIZE)
        whites.append(int((picture.min(-1) > 235)[:, SIZE // 2 :].sum()))
    background = int((render(style, posed(left_eye=1.0), SIZE).min(-1) > 235)[:, SIZE // 2 :].sum())
    assert whites[0] > whites[1] > whites[2] > whites[3] >= background
    # The person's left eye is at the image's right, and nothing else moves.
    y, x = np.nonzero(changed(style, posed(left_eye=1.0)))
    box = face_box(style, REST, SIZE)
    assert x.min() > box[0] + 0.48 * box[2] and x.max() < box[0] + 1.08 * box[2]
    assert y.max() < box[1] + 0.8 * box[3]


def test_a_mouth_opens_more_and_more_below_the_eyes():
    style = plain(1)
    areas = [int(changed(style, posed(mouth=value)).sum()) for value in (0.25, 0.5, 1.0)]
    assert areas[0] < areas[1] < areas[2]
    box = face_box(style, REST, SIZE)
    y, _ = np.nonzero(changed(style, posed(mouth=1.0)))
    # The chin takes the shade at the cheeks along a little.
    assert np.quantile(y, 0.03) > box[1] + 0.5 * box[3]


def test_poses_are_continuous():
    style = plain(2)
    for name in POSE:
        a = render(style, posed(**{name: 0.5}), SIZE).astype(int)
        b = render(style, posed(**{name: 0.505}), SIZE).astype(int)
        assert np.abs(a - b).mean() < 1.0, name


def test_heads_turn_as_the_action_units_say():
    style = plain(2)
    x, _, w, _ = face_box(style, REST)
    middle = x + w / 2
    left = face_box(style, posed(roll=1.0))
    assert left[0] + left[2] / 2 > middle  # the person's left is the image's right
    nose = replace(style, nose=replace(style.nose, kind="ball", color=(255, 0, 0), size=0.2))

    def red(pose):
        picture = render(nose, pose, SIZE).astype(int)
        is_red = (picture[..., 0] > 200) & (picture[..., 1] < 60) & (picture[..., 2] < 60)
        return np.argwhere(is_red).mean(0)

    assert red(posed(yaw=1.0))[1] > red(REST)[1] + 2
    assert red(posed(pitch=1.0))[0] < red(REST)[0] - 2
    # Shoulders do not lean with the head.
    assert not changed(style, posed(roll=1.0))[-2:, : SIZE // 8].any() or style.hair.back != "none"


def test_face_boxes_are_where_faces_are():
    for seed in range(12):
        style = sample_style(np.random.default_rng(seed))
        x, _, w, h = face_box(style, REST, 256)
        assert 0.4 < w / 256 < 0.85 and 0.3 < h / 256 < 0.95
        assert abs((x + w / 2) / 256 - 0.5) < 0.2


def test_poses_have_ranges_and_two_kinds_of_numbers():
    assert POSE[:6] == ("left_eye", "right_eye", "mouth", "pitch", "yaw", "roll")
    assert sorted(MORPH + ROTATE) == list(range(len(POSE)))
    rng = np.random.default_rng(0)
    for _ in range(50):
        pose = sample_pose(rng)
        assert pose.dtype == np.float32 and (pose >= LOW).all() and (pose <= HIGH).all()


def pose_for(text):
    vector = np.zeros((1, len(aus.CHANNELS)), np.float32)
    for channel, value in aus.parse_expression(text).items():
        vector[0, aus.INDEX[channel]] = value / aus.MAX_INTENSITY
    return dict(zip(POSE, pose_of(vector)[0], strict=True))


def test_action_units_become_poses():
    assert not np.any(pose_of(np.zeros((2, len(aus.CHANNELS)))))
    wink = pose_for("AU45L=5")
    assert wink["left_eye"] == 1 and wink["right_eye"] == 0
    assert pose_for("AU12=5")["smile"] == 1
    assert pose_for("AU15=5")["smile"] == pytest.approx(-0.8)
    assert pose_for("AU26=5")["mouth"] > 0.5 and pose_for("AU27=5")["mouth"] == 1
    assert pose_for("AU1=3,AU2=3")["brow_left"] > 0.5
    assert pose_for("AU4=5")["frown"] == 1 and pose_for("AU4=5")["brow_right"] < 0
    assert pose_for("AU18=5")["pucker"] == 1
    assert pose_for("AU5=5")["wide"] == 1
    # 15 degrees are 1: half of what an action unit at 5 turns the head by.
    assert pose_for("AU51=2.5")["yaw"] == pytest.approx(1)
    assert pose_for("AU54=1.25")["pitch"] == pytest.approx(-0.5)
    assert pose_for("AU55=1")["roll"] == pytest.approx(0.4 * MOST_LEAN)
    assert pose_for("AU55=5")["roll"] == pytest.approx(MOST_LEAN)
    assert pose_for("AU61=5")["gaze_x"] == pytest.approx(1)
    assert pose_for("AU64=5")["gaze_y"] == pytest.approx(-1)


def test_poses_stay_in_their_ranges_whatever_is_asked():
    rng = np.random.default_rng(1)
    poses = pose_of(rng.uniform(0, 6, (200, len(aus.CHANNELS))))
    assert poses.shape == (200, len(POSE)) and (poses >= LOW).all() and (poses <= HIGH).all()


def test_crops_go_there_and_back():
    box = np.array([100.0, 60.0, 80.0, 84.0])
    crop = Crop.around(box)
    assert crop.side == pytest.approx(80 / FACE_SHARE)
    again = Crop.around(crop.box)
    assert (again.left, again.side) == pytest.approx((crop.left, crop.side), abs=1e-3)
    assert Crop.around(again.box) == again
    drawing = np.zeros((300, 300, 3), np.uint8)
    drawing[60:144, 100:180] = 255
    cut = crop.cut(drawing, 256)
    assert cut.shape == (256, 256, 3)
    columns = np.flatnonzero(cut[128, :, 0] > 127)
    assert (len(columns) / 256, columns.mean() / 256) == pytest.approx((FACE_SHARE, 0.5), abs=0.01)


def test_a_crop_beyond_the_drawing_continues_its_edge():
    drawing = np.full((100, 100, 3), 77, np.uint8)
    cut = Crop.around(np.array([0.0, 0.0, 90.0, 90.0])).cut(drawing, 64)
    assert (cut == 77).all()


def test_renderings_lie_as_crops_do():
    """Faces are where `Crop` puts them, within the jitter of training."""
    for seed in range(10):
        style = sample_style(np.random.default_rng(seed))
        crop = Crop.around(face_box(style, REST, 256))
        assert 0.7 < crop.side / 256 < 1.45
        assert abs(crop.left + crop.side / 2 - 128) < 50


def test_the_smile_recipe_smiles_and_the_wink_winks():
    smile = pose_of(recipes.load("smile").track().add)
    assert smile[:, INDEX["smile"]].max() > 0.5 and smile[:, INDEX["smile"]].min() >= 0
    wink = pose_of(recipes.load("wink").track().add)
    assert abs(wink[:, INDEX["left_eye"]].max() - wink[:, INDEX["right_eye"]].max()) > 0.5
