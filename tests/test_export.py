"""Networks for other programs give the same numbers there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from support.autoencoder import tiny_autoencoder
from support.command import RunCli
from support.networks import TINY
from support.paths import SAMPLE

from memegen import aus, weights
from memegen.errors import UsageError, WeightsError
from memegen.evaluation.exported_networks import compare, parted, real_inputs
from memegen.generators import generator_named
from memegen.generators.cartoon import POSE_ORDER, CartoonConfig, CartoonNet
from memegen.generators.export import export_onnx, export_safetensors, networks_of
from memegen.generators.ganimation import GanimationConfig, GanimationNet
from memegen.generators.network import GeneratorNet
from memegen.generators.onnx_precision import in_precision
from memegen.generators.pix2pix import REFINED, Pix2PixConfig, Pix2PixNet, translate
from memegen.generators.stargan import StarganConfig, StarganNet
from memegen.generators.windows import FACE
from memegen.photo import read_photo

TOLERANCE = 1e-4  # of numbers in -1..1
HALF_TOLERANCE = 0.03

ORDER = " ".join(aus.CHANNELS)


@pytest.fixture
def tiny_ganimation(tmp_path: Path) -> Path:
    network = GanimationNet(GanimationConfig(size=64, width=4, blocks=1))
    path = tmp_path / "ganimation.safetensors"
    weights.save(path, network.state_dict(), "ganimation", network.config)
    return path


@pytest.fixture
def tiny_anatomical(tmp_path: Path) -> Path:
    network = GeneratorNet(TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    path = tmp_path / "tiny.safetensors"
    weights.save(path, network.state_dict(), "anatomical", TINY, au_order=ORDER)
    return path


@pytest.fixture
def tiny_fader(tmp_path: Path) -> Path:
    return tiny_autoencoder(tmp_path, "fader")


def saved(path: Path, network: torch.nn.Module, name: str, order: str) -> Path:
    """Weights of a network whose last layers, which begin with no change at all, change much."""
    for last, module in network.named_modules():
        if last.endswith(("head", "flow")):
            torch.nn.init.normal_(module.weight, 0, 0.05)
    weights.save(path, network.state_dict(), name, network.config, au_order=order)
    return path


@pytest.fixture
def tiny_stargan(tmp_path: Path) -> Path:
    network = StarganNet(StarganConfig(size=32, width=4, blocks=1))
    return saved(tmp_path / "stargan.safetensors", network, "stargan", ORDER)


@pytest.fixture
def tiny_pix2pix(tmp_path: Path) -> Path:
    network = Pix2PixNet(
        Pix2PixConfig(size=32, width=4, levels=3, code=8, refine_side=32, refine_width=4)
    )
    return saved(tmp_path / "pix2pix.safetensors", network, "pix2pix", ORDER)


@pytest.fixture
def tiny_cartoon(tmp_path: Path) -> Path:
    network = CartoonNet(CartoonConfig(size=32, width=4, blocks=1, combiner=(4, 8, 8)))
    return saved(tmp_path / "cartoon.safetensors", network, "cartoon", POSE_ORDER)


NEW = {
    "tiny_stargan": [""],
    "tiny_pix2pix": ["face", "mouth", "left-eye", "right-eye"],
    "tiny_cartoon": ["morpher", "rotator", "combiner"],
}


@pytest.mark.parametrize("which", ["tiny_ganimation", "tiny_anatomical", "tiny_fader", *NEW])
def test_onnx_says_what_torch_says(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    file = request.getfixturevalue(which)
    (tmp_path / "out").mkdir()
    written = export_onnx(file, tmp_path / "out" / "net.onnx")
    networks = networks_of(file)
    assert len(written) == len(networks) == len(list((tmp_path / "out").iterdir()))
    for path, one in zip(written, networks, strict=True):
        session = runtime.InferenceSession(str(path))
        assert [i.name for i in session.get_inputs()] == list(one.inputs)
        assert [o.name for o in session.get_outputs()] == list(one.outputs)
        assert one.about.items() <= session.get_modelmeta().custom_metadata_map.items()
        for batch in (1, 3):
            given = {name: torch.rand(batch, *t.shape[1:]) for name, t in one.inputs.items()}
            with torch.inference_mode():
                wanted = one.network.eval()(*given.values())
            found = session.run(None, {name: t.numpy() for name, t in given.items()})
            for said, true in zip(found, wanted, strict=True):
                assert np.abs(said - true.numpy()).max() < TOLERANCE
        halves = in_precision(onnx.load(path), "fp16", ())
        session = runtime.InferenceSession(halves.SerializeToString())
        found = session.run(None, {name: t.numpy() for name, t in given.items()})
        for said, true in zip(found, wanted, strict=True):
            assert np.abs(said - true.numpy()).max() < HALF_TOLERANCE


@pytest.mark.parametrize(("which", "parts"), NEW.items(), ids=list(NEW))
def test_networks_are_watched_at_work(
    which: str, parts: list[str], request: pytest.FixtureRequest
) -> None:
    """What goes in is found for each network, and the network exported makes the same of it."""
    file = request.getfixturevalue(which)
    networks = networks_of(file)
    assert [one.part for one in networks] == parts
    found = real_inputs(file, [read_photo(SAMPLE).resized(120, 150)])
    assert list(found) == parts
    for one in networks:
        rows = found[one.part]
        assert len(rows) >= 7 and all(list(row) == list(one.inputs) for row in rows)
        given = [torch.from_numpy(np.concatenate(several)) for several in zip(*(
            row.values() for row in rows
        ), strict=True)]  # fmt: skip
        assert [g.shape[1:] for g in given] == [
            example.shape[1:] for example in one.inputs.values()
        ]
        assert all(g.std(0).max() > 0 for g in given[-1:])  # expressions differ
        with torch.inference_mode():
            made = one.network.eval()(*given)
        assert one.picture is not None
        picture = one.picture(dict(zip(one.inputs, given, strict=True)), made)
        assert picture.shape[1:] == given[0].shape[1:] and len(picture) % len(rows) == 0
        assert torch.isfinite(picture).all() and -1 < picture.mean() < 2


def test_windows_of_paired_translation_are_told_apart(tiny_pix2pix: Path) -> None:
    """Each exported network says what the network it is made of said of the same part."""
    generator = generator_named(str(tiny_pix2pix))
    said: dict[int, list[torch.Tensor]] = {0: [], 1: [], 2: []}
    parts, seen = networks_of(tiny_pix2pix)[1:], list[list[tuple[torch.Tensor, ...]]]()
    network = generator.network
    network.local.register_forward_hook(lambda _, given, out: said[given[3]].append(out))
    for one in parts:
        seen.append([])
        assert one.watch is not None
        one.watch(network, seen[-1].append)
    places = {
        window.name: torch.tensor([[[16.0, 0, 32], [0, 16, 32]]]) for window in (FACE, *REFINED)
    }
    units = torch.rand(1, 2 * len(aus.CHANNELS))
    with torch.inference_mode():
        translate(network, torch.rand(1, 3, 32, 32), torch.rand(1, 3, 64, 64), places, units)
        for part, one in enumerate(parts):
            ((now, moved, told),) = seen[part]
            assert torch.equal(told, units)
            (change,) = one.network.eval()(now, moved, told)
            assert torch.allclose(change, said[part][0], atol=1e-5) and change.abs().max() > 0.01


def test_safetensors_in_full_precision_are_the_same_weights(
    tiny_ganimation: Path, tmp_path: Path
) -> None:
    out = tmp_path / "full.safetensors"
    assert export_safetensors(tiny_ganimation, out) == [out]
    with safe_open(out, "pt") as full, safe_open(tiny_ganimation, "pt") as half:
        assert full.keys() == half.keys()
        for name in full.keys():  # noqa: SIM118
            assert full.get_tensor(name).dtype == torch.float32
            assert torch.equal(full.get_tensor(name), half.get_tensor(name).float())
        assert json.loads(full.metadata()["config"]) == json.loads(half.metadata()["config"])


def test_weights_that_are_no_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="'anatomy' are no network"):
        networks_of(weights.find("anatomy"))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["anatomical", "--format", "tflite"], 2, "unknown"),
        (["nowhere.safetensors"], 4, "not found"),
        (["anatomical", "--out", "/dev/null/net.onnx"], 2, "is no folder"),
        (["anatomical", "--out", "net.txt"], 2, "must end with .onnx"),
        (
            ["anatomical", "--format", "safetensors", "--out", str(weights.find("anatomical"))],
            2,
            "themselves",
        ),
    ],
)
def test_bad_exports_are_one_line(
    arguments: list[str], code: int, says: str, run_cli: RunCli
) -> None:
    said = run_cli("weights", "export", *arguments, code=code).err.strip()
    assert says in said and "\n" not in said


def test_mixed_weights_are_the_mean(tmp_path: Path, run_cli: RunCli) -> None:
    for name, value in (("one", 1.0), ("two", 4.0)):
        weights.save(tmp_path / f"{name}.safetensors", {"a": torch.full((3,), value)}, "x", {})
    weights.save(tmp_path / "other.safetensors", {"a": torch.zeros(4)}, "x", {})
    one, two, other, out = (
        str(tmp_path / f"{n}.safetensors") for n in ("one", "two", "other", "out")
    )
    run_cli("weights", "mix", one, f"{two}=2", "-o", out)
    found = weights.load(out, "x")
    assert found.tensors["a"].tolist() == [3, 3, 3]
    assert found.metadata["mixed"] == "one.safetensors 1, two.safetensors 2"
    for arguments, code in (
        ([one], 2),
        ([one, f"{two}=much"], 2),
        ([one, f"{two}=0"], 2),
        ([one, other], 4),
    ):
        bad = tmp_path / "bad.safetensors"
        printed = run_cli("weights", "mix", *arguments, "-o", str(bad), code=code)
        assert printed.err.count("\n") == 1 and not bad.exists()


@pytest.fixture
def loud_ganimation(tmp_path: Path) -> Path:
    """A generator of 64 px that changes its photos."""
    network = GanimationNet(GanimationConfig(size=64, width=8, blocks=1))
    path = tmp_path / "loud.safetensors"
    weights.save(path, network.state_dict(), "ganimation", network.config)
    return path


@pytest.mark.parametrize(("precision", "levels"), [("fp16", 0.2), ("int8", 10.0)])
@pytest.mark.parametrize("which", ["loud_ganimation", "tiny_anatomical"])
def test_lower_precision_stays_near(
    which: str, precision: str, levels: float, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    file = request.getfixturevalue(which)
    photo = read_photo(SAMPLE)
    seen, held_out = parted(real_inputs(file, [photo.resized(200, 250)]))
    one = networks_of(file)[0]
    rows = held_out[one.part]
    assert len(rows) == 2 and len(seen[one.part]) == 6
    assert {name: array.shape[1:] for name, array in rows[0].items()} == {
        name: tuple(example.shape[1:]) for name, example in one.inputs.items()
    }
    assert all(array.dtype == np.float32 for array in rows[0].values())
    (path,) = export_onnx(file, tmp_path / "net.onnx", precision, seen)
    told = compare(one, path, rows)
    assert told.error is not None and told.largest is not None
    assert 0 < told.error < levels and told.error < told.largest
    assert told.ms > 0 and told.ms_torch > 0

    import onnx

    model = onnx.load(path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["precision"] == precision and said["source"] == file.name
    kinds = {node.op_type for node in model.graph.node}
    assert ("QuantizeLinear" in kinds) == (precision == "int8")
    assert ("Cast" in kinds) or precision == "int8"


def test_integers_need_photos(tiny_ganimation: Path, tmp_path: Path, run_cli: RunCli) -> None:
    export = ("weights", "export", str(tiny_ganimation))
    assert "needs --photos" in run_cli(*export, "--precision", "int8", code=2).err
    assert "unknown" in run_cli(*export, "--precision", "int4", code=2).err
    safe = run_cli(*export, "--format", "safetensors", "--precision", "fp16", code=2)
    assert "are for --format onnx" in safe.err
    with pytest.raises(UsageError, match="real inputs"):
        export_onnx(tiny_ganimation, tmp_path / "net.onnx", "int8")


def test_export_tells_what_a_precision_costs(
    loud_ganimation: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    pytest.importorskip("onnxruntime")
    said = run_cli(
        "weights", "export", str(loud_ganimation), "--precision", "int8", "--photos", str(SAMPLE),
        "-o", str(tmp_path / "net.onnx"), notes=True,
    )  # fmt: skip
    assert said.out.strip() == str(tmp_path / "net.onnx")
    assert "int8: " in said.err and "levels of 255 on average" in said.err
