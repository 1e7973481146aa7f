import numpy as np
import pytest
from support.faces import vector

from memegen import aus, recipes
from memegen.errors import UsageError
from memegen.tracks import compose

REQUIRED = [
    "smile",
    "grin",
    "laugh",
    "smirk",
    "wink",
    "kiss",
    "pout",
    "surprise",
    "shock",
    "scream",
    "anger",
    "rage",
    "disgust",
    "contempt",
    "fear",
    "sad",
    "cry",
    "doubt",
    "side-eye",
    "eye-roll",
    "sleepy",
    "yawn",
    "blink",
    "puff",
    "nod",
    "shake",
    "tilt",
    "talk",
    "chew",
    "singing",
    "deadpan",
    "derp",
    "flirt",
    "mind-blown",
    "villain-smile",
    "bruh",
    "crying-laughing",
    "cringe",
    "smug",
    "tongue-tied",
    "nope",
    "awkward",
    "suspicious",
    "this-is-fine",
    "double-take",
    "sneeze",
]
# What the FACS Investigator's Guide (Ekman, Friesen & Hager 2002) names for an emotion, as recipes
# compose it: each shows all of these at its height. In a bracket one of several will do.
PROTOTYPES: dict[str, list[tuple[str, ...]]] = {
    "smile": [("AU6L",), ("AU12L",)],
    "laugh": [("AU6L",), ("AU12L",), ("AU25",), ("AU26", "AU27")],
    "surprise": [("AU1L",), ("AU2L",), ("AU5L",), ("AU26", "AU27")],
    "shock": [("AU1L",), ("AU2L",), ("AU5L",), ("AU26", "AU27")],
    "fear": [("AU1L",), ("AU2L",), ("AU4L",), ("AU5L",), ("AU20L",), ("AU25",), ("AU26", "AU27")],
    "anger": [("AU4L",), ("AU5L",), ("AU7L",), ("AU23", "AU24")],
    "rage": [("AU4L",), ("AU5L",), ("AU7L",), ("AU10L",), ("AU25",)],
    "disgust": [("AU9L",), ("AU10L",), ("AU17",), ("AU15L", "AU16L")],
    "sad": [("AU1L",), ("AU4L",), ("AU15L",)],
    "cry": [("AU1L",), ("AU4L",), ("AU6L", "AU7L"), ("AU15L",), ("AU20L",), ("AU25",)],
    "contempt": [("AU12R",), ("AU14R",)],
}
LEAST = 0.15  # intensity 0..1 from which an action unit counts as shown
SMILELESS = [
    "anger",
    "rage",
    "disgust",
    "fear",
    "sad",
    "cry",
    "pout",
    "surprise",
    "deadpan",
    "bruh",
]
WIDEST_PARTED = 0.5  # AU25 0..1: more of it over a dropped jaw pulls the lower lip off the teeth
DROPPED = 0.3  # AU26 or AU27 0..1 from which the jaw counts as dropped
FASTEST_HEAD = 8.0  # degrees a frame at 25 fps; a quick human head turns about 200 degrees a second
SMILE = aus.INDEX["AU12L"]


def test_shipped_recipes_are_all_there_and_named_as_their_files() -> None:
    assert set(REQUIRED) <= set(recipes.names())
    for name in recipes.names():
        recipe = recipes.load(name)
        assert recipe.name == name
        assert recipe.description
        assert 0.5 < recipe.track().duration < 8


@pytest.mark.parametrize("name", recipes.names())
def test_shipped_recipes_move_and_loop_without_a_jump(name: str) -> None:
    track = recipes.load_track(name)
    source = np.full(len(aus.CHANNELS), 0.2, np.float32)
    frames = track.resolve(source)
    steps = np.abs(np.diff(np.concatenate([frames, frames[:1]]), axis=0)).max(1)
    assert steps.max() > 0.02
    assert steps[-1] <= steps[:-1].max() + 1e-6  # the way from the last frame to the first


def height_of(name: str, source: np.ndarray) -> np.ndarray:
    """(K,) the expression 0..1 of a recipe at its strongest frame, for a face with its `source`."""
    track = recipes.load_track(name)
    return track.resolve(source)[track.strongest()]


@pytest.mark.parametrize("name", PROTOTYPES)
def test_emotions_show_the_action_units_that_facs_names(name: str) -> None:
    height = height_of(name, np.zeros(len(aus.CHANNELS), np.float32))
    for alternatives in PROTOTYPES[name]:
        assert max(height[aus.INDEX[channel]] for channel in alternatives) >= LEAST, alternatives


@pytest.mark.parametrize("name", SMILELESS)
def test_a_smiling_photo_stops_smiling(name: str) -> None:
    smiling = vector({"AU6": 4, "AU12": 4})
    height = height_of(name, smiling)
    assert height[SMILE] == 0
    assert height[aus.INDEX["AU6L"]] < smiling[aus.INDEX["AU6L"]]


@pytest.mark.parametrize("name", recipes.names())
def test_parted_lips_leave_room_for_the_jaw(name: str) -> None:
    frames = recipes.load_track(name).resolve(np.zeros(len(aus.CHANNELS), np.float32))
    jaw = frames[:, [aus.INDEX["AU26"], aus.INDEX["AU27"]]].max(1)
    assert (frames[jaw > DROPPED, aus.INDEX["AU25"]] <= WIDEST_PARTED).all()


@pytest.mark.parametrize("name", recipes.names())
def test_heads_turn_no_faster_than_heads_can(name: str) -> None:
    frames = recipes.load_track(name).resolve(np.zeros(len(aus.CHANNELS), np.float32))
    degrees = aus.head_degrees(np.concatenate([frames, frames[:1]]))
    assert np.abs(np.diff(degrees, axis=0)).max() <= FASTEST_HEAD


def recipe(keyframes: str, head: str = "loop: once") -> recipes.Recipe:
    return recipes.parse(f"name: test\nfps: 10\n{head}\nkeyframes:\n{keyframes}")


def test_a_channel_not_named_stays_the_photos_own() -> None:
    track = recipe("  - {at: 0, expression: {}}\n  - {at: 1, expression: {AU12: 5}}").track()
    source = vector({"AU12": 1, "AU4": 2})
    frames = track.resolve(source)
    assert len(track) == 11
    assert frames[0, SMILE] == pytest.approx(0.2)
    assert frames[-1, SMILE] == pytest.approx(1.0)
    assert (frames[:, aus.INDEX["AU4L"]] == source[aus.INDEX["AU4L"]]).all()
    assert (np.diff(frames[:, SMILE]) > 0).all()


def test_intensity_scales_the_change() -> None:
    track = recipe("  - {at: 0, expression: {AU12: 3}}").track()
    source = vector({"AU12": 1})
    assert track.resolve(source, 0)[0, SMILE] == pytest.approx(0.2)
    assert track.resolve(source, 0.5)[0, SMILE] == pytest.approx(0.4)
    assert track.resolve(source, 3)[0, SMILE] == pytest.approx(1.0)


def test_relative_adds_to_the_photo() -> None:
    track = recipe("  - {at: 0, expression: {AU12: -1}}", "relative: true").track()
    assert track.resolve(vector({"AU12": 3}))[0, SMILE] == pytest.approx(0.4)
    assert track.resolve(vector({"AU12": 0.5}))[0, SMILE] == 0


def test_hold_keeps_the_keyframe() -> None:
    text = "  - {at: 0, hold: 0.5, expression: {AU12: 0}}\n  - {at: 1, expression: {AU12: 5}}"
    smile = recipe(text).track().add[:, SMILE]
    assert (smile[:6] == 0).all()
    assert smile[6] > 0


def test_boomerang_goes_there_and_back() -> None:
    text = "  - {at: 0, expression: {AU12: 0}}\n  - {at: 0.5, ease: linear, expression: {AU12: 5}}"
    track = recipe(text, "loop: boomerang").track()
    assert np.allclose(
        track.add[:, SMILE], [0, 0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2], atol=1e-6
    )


def test_loop_adds_the_way_back() -> None:
    text = "  - {at: 0, expression: {AU12: 0}}\n  - {at: 0.5, expression: {AU12: 5}}"
    smile = recipe(text, "loop: loop").track().add[:, SMILE]
    assert len(smile) == 8
    assert smile[-1] < 0.5


def test_duration_stretches_the_cycle() -> None:
    assert recipes.load_track("smile", duration=4).duration == pytest.approx(4, abs=0.1)
    assert recipes.load_track("wink", fps=50).fps == 50


@pytest.mark.parametrize("ease", recipes.EASES)
def test_eases_begin_and_end(ease: str) -> None:
    assert recipes.EASES[ease](0) == pytest.approx(0)
    assert recipes.EASES[ease](1) == pytest.approx(1)


def test_composition_later_wins_and_shorter_holds() -> None:
    one = recipe("  - {at: 0, expression: {AU12: 5, AU4: 5}}").track()
    two = recipe("  - {at: 0, expression: {AU12: 0}}\n  - {at: 1, expression: {AU12: 1}}").track()
    both = compose([one, two])
    assert len(both) == len(two)
    assert both.resolve(np.zeros(len(aus.CHANNELS), np.float32))[-1, SMILE] == pytest.approx(0.2)
    assert both.add[-1, aus.INDEX["AU4L"]] == pytest.approx(1)
    assert recipes.load_track("smile+wink").name == "smile+wink"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("keyframes:\n  - {at: 0, expresion: {}}", ":2: unknown key 'expresion', did you mean 'expression'"),
        ("name: x\nkeyframes:\n  - at: 0\n    expression: {AU99: 1}", ":4: unknown action unit 'AU99'"),
        ("keyframes:\n  - {at: 0, expression: {AU12: 7}}", ":2: AU12: intensity 7 is outside 0..5"),
        ("keyframes:\n  - {at: 0, expression: {AU12: .nan}}", ":2: .*nan"),
        ("keyframes:\n  - {at: 0, expression: {AU12: high}}", ":2: .*number"),
        ("keyframes:\n  - {at: 0, expression: {AU12: 3}", "not valid YAML"),
        ("keyframes: []", ":1: expected a list"),
        ("name: x", ":1: a recipe needs keyframes"),
        ("", "empty"),
        ("[1, 2]", "expected 'key: value'"),
        ("loop: bounce\nkeyframes:\n  - {at: 0, expression: {}}", ":1: 'bounce' is none of"),
        ("fps: 0\nkeyframes:\n  - {at: 0, expression: {}}", ":1: 0 is outside"),
        ("keyframes:\n  - {at: 1, expression: {}}\n  - {at: 1, expression: {}}", ":3: .*begins before"),
        ("keyframes:\n  - {at: 0, ease: fast, expression: {}}", ":2: 'fast' is none of"),
        ("keyframes:\n  - {expression: {}}", ":2: a keyframe needs 'at'"),
        ("name: x\nname: y\nkeyframes:\n  - {at: 0, expression: {}}", ":2: 'name' is given twice"),
    ],
)  # fmt: skip
def test_mistakes_name_the_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        recipes.parse(text, "my.yaml")


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'smile'"):
        recipes.load("simle")


def test_a_turned_head_is_not_jerked_by_offsets() -> None:
    source = vector({"AU51": 3.3, "AU54": 1.7})
    for name in recipes.names():
        frames = recipes.load_track(name).resolve(source)
        frontal = recipes.load_track(name).resolve(np.zeros(len(aus.CHANNELS), np.float32))
        turned = np.abs(np.diff(aus.head_degrees(frames), axis=0)).max()
        straight = np.abs(np.diff(aus.head_degrees(frontal), axis=0)).max()
        assert turned <= straight + 0.5, name


def test_opposites_give_way() -> None:
    source = vector({"AU51": 3, "AU61": 2})
    track = recipe("  - {at: 0, expression: {AU52: 3, AU62: 4}}").track()
    assert aus.head_degrees(track.resolve(source))[0, 0] == pytest.approx(-18)
    assert aus.gaze_degrees(track.resolve(source))[0, 0] == pytest.approx(-24)


def test_offset_is_added_beside_the_expression() -> None:
    track = recipe("  - {at: 0, expression: {AU12: 2}, offset: {AU54: 1, AU12: 1}}").track()
    frames = track.resolve(vector({"AU54": 1.5}))
    assert frames[0, SMILE] == pytest.approx(0.6)
    assert frames[0, aus.INDEX["AU54"]] == pytest.approx(0.5)


def test_a_side_wins_over_both() -> None:
    frame = recipe("  - {at: 0, expression: {AU12L: 3, AU12: 1}}").track().add[0]
    assert frame[SMILE] == pytest.approx(0.6)
    assert frame[aus.INDEX["AU12R"]] == pytest.approx(0.2)


def test_a_late_beginning_begins_with_the_photo() -> None:
    track = recipe("  - {at: 1, expression: {AU12: 5}}").track()
    assert track.resolve(np.zeros(len(aus.CHANNELS), np.float32))[[0, -1], SMILE] == pytest.approx(
        [0, 1]
    )
