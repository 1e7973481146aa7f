from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from support.paths import ROOT

import memegen
from memegen import recipes
from memegen.aus import INDEX
from memegen.photo import read_photo

EXAMPLES = ROOT / "examples"
PICTURES = sorted(path for path in EXAMPLES.iterdir() if path.suffix != ".md")


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    """docs/make_gallery.py."""
    spec = importlib.util.spec_from_file_location("make_gallery", ROOT / "docs/make_gallery.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look it up there
    spec.loader.exec_module(module)
    return module


def test_every_sample_photo_has_an_origin() -> None:
    told = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(PICTURES) >= 2
    assert [path.name for path in PICTURES if f"`{path.name}`" not in told] == []


def test_a_sample_photo_shows_a_shut_mouth() -> None:
    animator = memegen.Animator("mesh")
    parted = {
        path.name: animator.analyze(read_photo(path))[0].analysis.action_units[INDEX["AU25"]]
        for path in PICTURES
    }
    assert parted["grace_hopper.jpg"] < 0.2 < parted["astronaut.png"]


@pytest.mark.parametrize("name", ["smile", "rage", "eye-roll"])
def test_moments_hold_the_strongest_in_order(gallery: ModuleType, name: str) -> None:
    recipe = recipes.load(name)
    rows = gallery.moments(recipe, 3)
    strength = gallery.strength(recipe.track())
    assert len(rows) == 3 and (np.diff(rows) > 0).all()
    assert strength[rows].max() == strength.max()
    sheet = gallery.sheet_of(recipe, 3)
    assert gallery.strength(sheet.track)[sheet.strongest] == strength.max()


def test_the_hero_leaves_the_photo_and_comes_back(gallery: ModuleType) -> None:
    track = gallery.hero_track(recipes.load("laugh"))
    strength = gallery.strength(track)
    assert len(track) == round(gallery.HERO_SECONDS * gallery.HERO_FPS)
    for end in (0, -1):
        assert (track.keep[end] == 1).all() and (track.add[end] == 0).all()
    assert strength.max() > 0.8 * gallery.strength(recipes.load("laugh").track()).max()


def test_sheets_of_some_recipes(gallery, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    asked = [str(tmp_path), str(EXAMPLES / "astronaut.png"), "--recipes", "wink,nod"]
    options = ["--side", "128", "--moments", "2", "--model", "mesh"]
    monkeypatch.setattr(sys, "argv", ["make_gallery.py", *asked, *options])
    gallery.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nod.webp", "wink.webp"]
    sheet = np.asarray(Image.open(tmp_path / "nod.webp").convert("RGB"), np.float32)
    assert sheet.shape == (128, 3 * 128, 3)
    assert np.abs(sheet[:, :128] - sheet[:, 128:256]).mean() > 2  # levels: the head has moved
