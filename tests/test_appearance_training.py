"""Training of the appearance basis: what is regressed on what, on drawn shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.shards import make_shards

from memegen import aus
from memegen.errors import MemegenError
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.labels import load_basis
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.appearance import load_appearance
from memegen.geometry.unwrap import HEIGHT, SCALE, WIDTH, Unwrapping
from memegen.training import appearance
from memegen.training.run import Run

SETTINGS = appearance.AppearanceTraining(ridge=1e-4, max_angle=180, judged=4)


@pytest.fixture
def data(tmp_path: Path, anatomy: Anatomy, face: np.ndarray) -> Path:
    return make_shards(tmp_path / "data", anatomy, face, count=160)


def test_a_run_writes_a_basis_and_figures_of_people_left_out(tmp_path: Path, data: Path) -> None:
    said: list[str] = []
    appearance.train(SETTINGS, Run(data, tmp_path / "run", log=said.append))
    report = next(line for line in said if line.startswith("everyday photos"))
    assert "AU4 " in report and "gain AU12 " in report and "AU1+2 " in report
    assert not any("nan" in line or "inf" in line for line in said)
    basis = load_appearance(str(tmp_path / "run"))
    assert basis.maps.shape == (len(basis.features), HEIGHT, WIDTH)
    assert not any(aus.CHANNELS[c].endswith("R") for c in basis.features[:, 0])
    np.testing.assert_allclose(basis.maps, basis.maps[..., ::-1], atol=1e-3)
    assert (basis.tint == 1).all(), "no colour faces, no tint"
    assert basis.most.min() > 0 and basis.most.max() <= 1


def test_known_maps_are_found_again(
    data: Path, anatomy: Anatomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures that are the sum of maps times features, and a face of one's own, give the maps."""
    faces, features = FaceDataset.load(data), appearance.feature_table()
    labels, vectors = faces.labels, faces.units
    rng = np.random.default_rng(0)
    half = rng.normal(size=(len(features), HEIGHT, WIDTH // 2)).astype(np.float32)
    true = np.concatenate([half, half[..., ::-1]], -1)  # alike on both sides
    names = [[c.rstrip("LR") for c in pair] for pair in appearance.feature_names(features)]
    for row, name in enumerate(names):
        true[row] = true[names.index(name)]
    source = rng.normal(size=(labels.identity.max() + 1, HEIGHT, WIDTH // 2)).astype(np.float32)
    source = np.concatenate([source, source[..., ::-1]], -1)
    pictures = np.tensordot(appearance.design(vectors, features), true, 1) + source[labels.identity]

    def drawn(
        _: object, rows: np.ndarray, *rest: object
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if len(rows):
            yield np.arange(len(rows)), pictures[rows][:, None]

    monkeypatch.setattr(appearance, "read_bands", drawn)
    plan = appearance.pool_sources(faces, features, SETTINGS)
    unwrapping = Unwrapping.of(anatomy.canonical, anatomy.triangles)
    solved, _ = appearance.solve(faces, plan, unwrapping, SETTINGS)
    maps, left = appearance.one_side(solved, features, np.ones((HEIGHT, WIDTH), np.float32))
    row = [list(pair) for pair in left].index([aus.INDEX["AU12L"], -1])
    expected = 2 * true[[list(p) for p in features].index([aus.INDEX["AU12L"], -1])]
    assert np.corrcoef(maps[row].ravel(), expected.ravel())[0, 1] > 0.95


def test_bands_keep_what_is_fine_and_lose_what_is_broad() -> None:
    inside = torch.ones(1, 1, HEIGHT, WIDTH)
    x = torch.arange(WIDTH).expand(HEIGHT, WIDTH)
    broad, fine = torch.sin(x / 200.0)[None, None], (0.1 * torch.cos(x * 1.5))[None, None]
    middle = (..., slice(70, -70), slice(70, -70))
    found = appearance.band_limited(broad + fine, inside, 20.0)[middle]
    assert (found - fine[middle]).abs().max() < 0.03


def test_skin_leaves_out_lips_lids_brows_and_what_is_off_the_face(data: Path) -> None:
    basis = load_basis(data)
    kept = appearance.skin(basis, 1.0)
    points = appearance.texture_points(basis.canonical).astype(int)
    for vertex in (13, 159, 386, 105, 334, 61, 291):  # lips, lids, brows, corners of the mouth
        assert kept[points[vertex, 1], points[vertex, 0]] < 0.15
    for vertex in (105, 334):  # where raised brows come to lie
        assert kept[points[vertex, 1] - int(0.12 * SCALE), points[vertex, 0]] < 0.15
    for vertex in (50, 280, 151, 199):  # cheeks, forehead, chin
        assert kept[points[vertex, 1], points[vertex, 0]] > 0.9
    assert kept[0].max() == kept[:, 0].max() == 0
    edge = kept[points[234, 1], points[234, 0] : points[234, 0] + int(0.3 * SCALE)]
    assert edge[0] == 0 and edge[-1] > 0.9 and (np.diff(edge) >= 0).all()


def test_light_that_dark_edges_leave_behind_is_no_crease(data: Path) -> None:
    basis = load_basis(data)
    points = appearance.texture_points(basis.canonical).astype(int)
    features = np.array([[aus.INDEX["AU45L"], -1], [aus.INDEX["AU26"], -1]])
    maps = np.full((2, HEIGHT, WIDTH), 0.3, np.float32)
    light = appearance.without_ghosts(maps, features, basis)
    dark = appearance.without_ghosts(-maps, features, basis)
    for vertex in (33, 263, 98):  # outer corners of the eyes, a nostril
        assert light[0, points[vertex, 1], points[vertex, 0]] == pytest.approx(appearance.GHOST)
        assert dark[0, points[vertex, 1], points[vertex, 0]] == np.float32(-0.3)
    for vertex in (50, 151):  # cheek, forehead
        assert light[0, points[vertex, 1], points[vertex, 0]] == np.float32(0.3)
    chin = points[199, 1], points[199, 0]
    assert dark[0][chin] == np.float32(-0.3)
    assert dark[1][chin] == pytest.approx(-0.3 * appearance.LAMP_SHARE)


def test_nobody_seen_twice_is_said(tmp_path: Path, data: Path) -> None:
    with np.load(data / "labels.npz") as labels:
        strangers = dict(labels) | {"identity": np.full(len(labels["id"]), -1)}
    np.savez(data / "labels.npz", **strangers)
    with pytest.raises(MemegenError, match="nobody is seen twice"):
        appearance.train(SETTINGS, Run(data, tmp_path / "run", log=lambda _: None))
