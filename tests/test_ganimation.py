"""GANimation as published: network, checkpoints of the public codes, and photos."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.command import RunCli
from support.faces import scene_of, vector

from memegen import weights
from memegen.errors import UsageError, WeightsError
from memegen.generators import generator_named
from memegen.generators.checkpoints import convert, read_checkpoint
from memegen.generators.ganimation import (
    GanimationConfig,
    GanimationDiscriminator,
    GanimationNet,
    blend,
)
from memegen.geometry.anatomy import Anatomy

State = dict[str, torch.Tensor]
NARROW = 4  # width of the networks here; the shapes are true otherwise


def layers(width: int, units: int, blocks: int) -> list[tuple[str, tuple[int, ...]]]:
    """(place in the trunk, shape of its convolution), as every public code has them."""
    w = width
    found = [("0", (w, 3 + units, 7, 7)), ("3", (2 * w, w, 4, 4)), ("6", (4 * w, 2 * w, 4, 4))]
    for block in range(blocks):
        found += [
            (f"{9 + block}.A", (4 * w, 4 * w, 3, 3)),
            (f"{9 + block}.B", (4 * w, 4 * w, 3, 3)),
        ]
    after = 9 + blocks
    return [*found, (f"{after}", (4 * w, 2 * w, 4, 4)), (f"{after + 3}", (2 * w, w, 4, 4))]


def checkpoint(layout: str, width: int = NARROW, units: int = 17, blocks: int = 6) -> State:
    """Random weights under the names of one public code."""
    random = torch.Generator().manual_seed(1)

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * 0.1

    state: State = {}
    trunk = "model" if layout == "color_top" else "main"
    inner = "conv_block" if layout == "color_top" else "main"
    for place, shape in layers(width, units, blocks):
        name = place.replace("A", f"{inner}.0").replace("B", f"{inner}.3")
        into = name.split(".")
        norm = ".".join([*into[:-1], str(int(into[-1]) + 1)])
        channels = shape[1] if int(into[0]) > 8 + blocks else shape[0]
        state[f"{trunk}.{name}.weight"] = tensor(*shape)
        if layout == "color_top":
            state[f"{trunk}.{name}.bias"] = tensor(channels)
        else:
            state[f"{trunk}.{norm}.weight"] = 1 + tensor(channels)
            state[f"{trunk}.{norm}.bias"] = tensor(channels)
        if layout == "im_reg":
            state[f"{trunk}.{norm}.running_mean"] = tensor(channels)
            state[f"{trunk}.{norm}.running_var"] = tensor(channels).abs()
            state[f"{trunk}.{norm}.num_batches_tracked"] = torch.tensor(7)
            state[f"debug4.{name}.weight"] = state[f"{trunk}.{name}.weight"]
    colour, attention = {
        "img_reg": ("img_reg", "attetion_reg"),
        "im_reg": ("im_reg", "im_att"),
        "color_top": ("color_top", "au_top"),
    }[layout]
    state[f"{colour}.0.weight"] = tensor(3, width, 7, 7)
    state[f"{attention}.0.weight"] = tensor(1, width, 7, 7)
    return state


def plainly(state: State, photo: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    """The paper's formula, read off the checkpoint's own names."""
    trunk = "model" if "color_top.0.weight" in state else "main"
    inner = "conv_block" if trunk == "model" else "main"

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        x = x - x.mean((2, 3), keepdim=True)
        x = x / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        if f"{name}.weight" not in state:
            return x
        return x * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]

    def conv(x: torch.Tensor, name: str, stride: int, padding: int) -> torch.Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding)

    x = torch.cat([photo, units[:, :, None, None].expand(-1, -1, *photo.shape[2:])], 1)
    for place, stride, padding in ((0, 1, 3), (3, 2, 1), (6, 2, 1)):
        x = norm(conv(x, f"{trunk}.{place}", stride, padding), f"{trunk}.{place + 1}").relu()
    for block in range(9, 15):
        at = f"{trunk}.{block}.{inner}"
        y = norm(conv(x, f"{at}.0", 1, 1), f"{at}.1").relu()
        x = x + norm(conv(y, f"{at}.3", 1, 1), f"{at}.4")
    for place in (15, 18):
        name = f"{trunk}.{place}"
        x = F.conv_transpose2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), 2, 1)
        x = norm(x, f"{trunk}.{place + 1}").relu()
    heads = [n for n in state if n.split(".")[0] in ("img_reg", "im_reg", "color_top")]
    masks = [n for n in state if n.split(".")[0] in ("attetion_reg", "im_att", "au_top")]
    colour = F.conv2d(x, state[heads[0]], padding=3).tanh()
    attention = F.conv2d(x, state[masks[0]], padding=3).sigmoid()
    return attention * photo + (1 - attention) * colour


@pytest.mark.parametrize("layout", ["img_reg", "im_reg", "color_top"])
def test_every_public_layout_gives_what_the_paper_says(layout: str, tmp_path: Path) -> None:
    state = checkpoint(layout)
    path = tmp_path / "net.pth"
    torch.save({f"module.{name}": value for name, value in state.items()}, path)
    found = convert(read_checkpoint(path))
    assert found.kind == "generator"
    assert found.config == GanimationConfig(
        width=NARROW, affine=layout != "color_top", biased=layout == "color_top"
    )
    photo, units = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 17)
    with torch.inference_mode():
        said = blend(photo, *found.network(photo, units))
    assert torch.allclose(said, plainly(state, photo, units), atol=1e-4)


def test_true_shapes() -> None:
    assert len(checkpoint("img_reg")) == 53
    network = GanimationNet()
    assert len(network.state_dict()) == 53
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(8.5e6, rel=0.02)
    nine = convert(checkpoint("img_reg", blocks=9))
    assert (nine.config.size, nine.config.blocks) == (256, 9)
    assert convert(checkpoint("im_reg", units=12)).config.units == 12


@pytest.mark.parametrize(
    ("trunk", "heads"), [("main", "conv1 conv2"), ("model", "dis_top aus_top")]
)
def test_critics_of_both_kinds(trunk: str, heads: str) -> None:
    verdict, units = heads.split()
    state: State = {}
    before, width = 3, NARROW
    for layer in range(6):
        state[f"{trunk}.{2 * layer}.weight"] = torch.randn(width, before, 4, 4) * 0.1
        state[f"{trunk}.{2 * layer}.bias"] = torch.randn(width) * 0.1
        before, width = width, 2 * width
    state[f"{verdict}.weight"] = torch.randn(1, before, 3, 3) * 0.1
    state[f"{units}.weight"] = torch.randn(17, before, 2, 2) * 0.1
    found = convert(state)
    assert found.kind == "discriminator" and isinstance(found.network, GanimationDiscriminator)
    photo = torch.rand(2, 3, 128, 128)
    x = photo
    for layer in range(6):
        name = f"{trunk}.{2 * layer}"
        x = F.leaky_relu(F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], 2, 1), 0.01)
    said, read = found.network(photo)
    assert torch.allclose(said, F.conv2d(x, state[f"{verdict}.weight"], padding=1), atol=1e-5)
    assert torch.allclose(read, F.conv2d(x, state[f"{units}.weight"]).flatten(1), atol=1e-5)


class Hostile:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_hostile_and_broken_files_are_refused(tmp_path: Path) -> None:
    touched, path = tmp_path / "touched", tmp_path / "net.pth"
    for protocol in (None, False):
        torch.save({"main.0.weight": Hostile(touched)}, path, **(
            {} if protocol is None else {"_use_new_zipfile_serialization": protocol}
        ))  # fmt: skip
        with pytest.raises(WeightsError, match="not a checkpoint of plain tensors"):
            read_checkpoint(path)
    path.write_bytes(pickle.dumps(Hostile(touched)))
    with pytest.raises(WeightsError, match="not a checkpoint of plain tensors"):
        read_checkpoint(path)
    assert not touched.exists()
    for garbage in (b"", b"words", b"PK\x03\x04broken"):
        path.write_bytes(garbage)
        with pytest.raises(WeightsError):
            read_checkpoint(path)
    torch.save({"a": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(WeightsError, match="'a' holds infinite or undefined"):
        read_checkpoint(path)
    torch.save({"a": torch.zeros(1), "epoch": 3}, path)
    with pytest.raises(WeightsError, match="more than tensors"):
        read_checkpoint(path)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(WeightsError, match="no tensors by name"):
        read_checkpoint(path)
    with pytest.raises(UsageError, match="no such file"):
        read_checkpoint(tmp_path / "none.pth")


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(WeightsError, match="no known GANimation checkpoint"):
        convert({"fc.weight": torch.zeros(2, 2)})
    state = checkpoint("img_reg")
    with pytest.raises(WeightsError, match=r"unknown tensor 'extra\.weight'"):
        convert(state | {"extra.weight": torch.zeros(1)})
    del state["main.3.weight"]
    with pytest.raises(WeightsError, match=r"'trunk\.3\.weight' is missing"):
        convert(state)
    del state["main.0.weight"]
    with pytest.raises(WeightsError, match="first or last layer"):
        convert(state)


def test_an_imported_checkpoint_animates(
    tmp_path: Path, face: np.ndarray, anatomy: Anatomy, run_cli: RunCli
) -> None:
    source, out = tmp_path / "net.pth", tmp_path / "net.safetensors"
    state = checkpoint("img_reg")
    torch.save(state, source)
    assert run_cli("weights", "import", str(source)).out.strip() == str(out)
    assert weights.architecture_of(out) == "ganimation"
    kept = weights.load(str(out), "ganimation").tensors["trunk.3.weight"]
    assert torch.equal(kept, state["main.3.weight"])  # to the last bit
    generator = generator_named(str(out))
    scene = scene_of(face, anatomy, 128)
    renderer = generator.prepare(scene)
    first, second = renderer.render(np.stack([vector(AU12=4), vector(AU26=5)]))
    assert first.shape == scene.picture.shape
    assert np.abs(first - second).max() > 0.01 and np.abs(first - scene.picture).max() > 5
    rim = np.r_[first[0], first[-1], first[:, 0], first[:, -1]]
    real = np.r_[scene.picture[0], scene.picture[-1], scene.picture[:, 0], scene.picture[:, -1]]
    assert np.abs(rim - real).max() < 12  # no seam
    twelve = tmp_path / "twelve.pth"
    torch.save(checkpoint("img_reg", units=12), twelve)
    found = convert(read_checkpoint(twelve))
    weights.save(out, found.network.state_dict(), "ganimation", found.config)
    with pytest.raises(WeightsError, match="drives 12 action units"):
        generator_named(str(out))
