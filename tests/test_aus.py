import numpy as np
import pytest
from support.faces import vector

from memegen import aus
from memegen.errors import UsageError
from memegen.recipes import parse
from memegen.tracks import in_range, offset, still


def test_first_17_are_openface_in_openface_order() -> None:
    order = [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45]
    assert [au.number for au in aus.OPENFACE] == order
    assert [au.number for au in aus.TABLE[:17]] == order


def test_every_name_stands_once_in_the_table() -> None:
    for told in (
        [au.number for au in aus.TABLE],
        [au.facs_name.lower() for au in aus.TABLE],
        list(aus.CHANNELS),
    ):
        assert len(set(told)) == len(told)
    assert [channel for au in aus.TABLE for channel in au.channels] == list(aus.CHANNELS)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("AU12", ("AU12L", "AU12R")),
        ("au12l", ("AU12L",)),
        ("AU12R", ("AU12R",)),
        ("AU12_r", ("AU12L", "AU12R")),
        (" AU01_r", ("AU1L", "AU1R")),
        ("12", ("AU12L", "AU12R")),
        ("lip corner puller", ("AU12L", "AU12R")),
        ("Lip Corner Puller left", ("AU12L",)),
        ("AU26", ("AU26",)),
        ("AU30L", ("AU30L",)),
        ("head turn left", ("AU51",)),
    ],
)
def test_names(name: str, channels: tuple[str, ...]) -> None:
    assert aus.channels_of(name) == channels


@pytest.mark.parametrize(
    ("name", "says"),
    [("AU13", "AU"), ("lip corner pullet", "lip corner puller"), ("AU25L", "no sides"),
     ("AU30", "AU30L"), ("", "unknown"), ("AU12_c", "unknown")],
)  # fmt: skip
def test_wrong_names_say_what_is_right(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        aus.channels_of(name)


def test_parse_expression() -> None:
    assert aus.parse_expression("AU12=4, AU6L:2") == {"AU12L": 4, "AU12R": 4, "AU6L": 2}


@pytest.mark.parametrize(
    "text", ["AU12L=1,AU12=4", "AU12=4,AU12L=1", "12=4,lip corner puller left=1"]
)
def test_a_side_wins_in_any_order(text: str) -> None:
    assert aus.parse_expression(text) == {"AU12L": 1, "AU12R": 4}
    assert aus.parse_factors(text, "--gain") == {"AU12L": 1, "AU12R": 4}
    named = dict(part.split("=") for part in text.split(","))
    numbers = {name: float(value) for name, value in named.items()}
    assert np.array_equal(vector(numbers), vector({"AU12L": 1, "AU12R": 4}))
    for array in (still(numbers)[1], offset(numbers)):
        assert array[[aus.INDEX["AU12L"], aus.INDEX["AU12R"]]] == pytest.approx([0.2, 0.8])
    yaml = ", ".join(f"{name}: {value}" for name, value in numbers.items())
    recipe = parse(f"keyframes:\n  - {{at: 0, expression: {{{yaml}}}}}")
    assert recipe.keyframes[0].expression == {"AU12L": 1, "AU12R": 4}


@pytest.mark.parametrize("text", ["AU12=1,AU12=4", "AU12=1,AU12_r=4", "AU12L=1,au12l=2,AU12=3"])
def test_what_is_given_twice_is_refused(text: str) -> None:
    for read in (aus.parse_expression, lambda t: aus.parse_factors(t, "--gain")):
        with pytest.raises(UsageError, match="given twice"):
            read(text)


def test_heads_turn_further_than_they_are_asked_to() -> None:
    """What is read is kept up to half a turn; a turned head may turn on by 30 degrees."""
    vectors = np.zeros((2, len(aus.CHANNELS)), np.float32)
    head = np.array([[-75, 40, 170], [0, -45, -90]], np.float32)
    aus.set_head_and_gaze(vectors, head, head[:, :2] / 2)
    assert (vectors <= aus.MOST).all() and (aus.MOST >= 1).all()
    assert aus.MOST[aus.INDEX["AU12L"]] == 1 and aus.MOST[aus.INDEX["AU55"]] == 6
    source = vector({})
    source[aus.INDEX["AU51"]] = 25 / 30
    asked = source.copy()
    asked[[aus.INDEX["AU51"], aus.INDEX["AU12L"]]] += 20 / 30, 1.4
    kept = in_range(asked, source)
    assert aus.head_degrees(kept)[0] == pytest.approx(45) and kept[aus.INDEX["AU12L"]] == 1


@pytest.mark.parametrize(
    "text", ["AU12", "AU12=x", "AU12=6", "AU12=-1", "AU12=nan", "AU12=inf", "", ","]
)
def test_wrong_expressions(text: str) -> None:
    with pytest.raises(UsageError):
        aus.parse_expression(text)


def test_openface_there_and_back() -> None:
    values = np.linspace(0, 5, 17, dtype=np.float32)
    assert np.allclose(aus.to_openface(aus.from_openface(values)), values)


def test_openface_takes_the_mean_of_sides() -> None:
    only_left = vector({"AU12L": 4})
    assert aus.to_openface(only_left)[8] == pytest.approx(2)


def test_head_and_gaze_there_and_back() -> None:
    vectors = np.zeros((2, len(aus.CHANNELS)), np.float32)
    head = np.array([[12, -6, 3], [-30, 30, 0]], np.float32)
    gaze = np.array([[6, -12], [0, 1]], np.float32)
    aus.set_head_and_gaze(vectors, head, gaze)
    assert np.allclose(aus.head_degrees(vectors), head, atol=1e-5)
    assert np.allclose(aus.gaze_degrees(vectors), gaze, atol=1e-5)
    assert (vectors >= 0).all()
    assert aus.head_degrees(vector({"AU51": 1}))[0] == pytest.approx(6)


def test_mirror_swaps_sides_and_directions() -> None:
    seen = aus.mirror(vector({"AU12L": 3, "AU51": 2, "AU25": 1, "AU30R": 1, "AU53": 2}))
    wanted = vector({"AU12R": 3, "AU52": 2, "AU25": 1, "AU30L": 1, "AU53": 2})
    assert np.allclose(seen, wanted)
    assert np.allclose(
        aus.mirror(seen), vector({"AU12L": 3, "AU51": 2, "AU25": 1, "AU30R": 1, "AU53": 2})
    )
