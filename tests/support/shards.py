"""A tiny folder of face-data shards: drawn noise with plausible labels, in the real layout."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from memegen.geometry.anatomy import Anatomy
from memegen.geometry.blendshapes import AU_TO_SHAPES

SIDES = {"_L": "Left", "_R": "Right"}


def shape_names() -> list[str]:
    names = ["mouthClose"]
    for shapes in AU_TO_SHAPES.values():
        sided = [shape.replace("*", side) for shape in shapes for side in "LR"]
        names += [{"jawL": "jawLeft", "jawR": "jawRight"}.get(name, name) for name in sided]
    return sorted(set(names))


def make_shards(folder: Path, anatomy: Anatomy, face: np.ndarray, count: int = 24) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    ids = [f"celeba/{i:05d}" for i in range(count)]
    with zipfile.ZipFile(folder / "celeba-00.zip", "w") as archive:
        for name in ids:
            data = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(data, "JPEG")
            archive.writestr(f"{name}.jpg", data.getvalue())
    components = rng.normal(size=(6, 478, 3)) * 0.01
    names = shape_names()
    scores = ["_neutral", "jawLeft", "jawRight", "jawOpen", "mouthFunnel", "mouthPucker", "mouthShrugLower",
              "mouthRollUpper", "mouthRollLower", "browInnerUp"]  # fmt: skip
    for stem in ("browOuterUp browDown eyeSquint mouthUpperUp mouthSmile mouthDimple mouthStretch "
                 "eyeBlink mouthPress mouthLowerDown eyeLookOut eyeLookIn eyeLookUp eyeLookDown "
                 "eyeWide mouthFrown").split():  # fmt: skip
        scores += [stem + "Left", stem + "Right"]
    np.savez(
        folder / "labels.npz",
        id=np.array(ids),
        split=np.array(["val" if i % 4 == 0 else "train" for i in range(count)]),
        identity=np.arange(count) // 8,
        landmark_mean=face.astype(np.float32),
        landmark_components=components.astype(np.float16),
        landmark_scale=np.full(6, 1e-3, np.float32),
        landmark_code=rng.integers(-900, 900, (count, 6)).astype(np.int16),
        scores=rng.integers(0, 255, (count, len(scores))).astype(np.uint8),
        score_names=np.array(scores),
        pose=np.tile(np.eye(4, dtype=np.float32), (count, 1, 1)),
        attributes=rng.integers(0, 2, (count, 6)).astype(np.int8),
        attribute_names=np.array("Male Young Pale_Skin Eyeglasses No_Beard Gray_Hair".split()),
    )
    np.savez(
        folder / "basis.npz",
        names=np.array(names),
        disp=(rng.normal(size=(len(names), 468, 3)) * 0.03).astype(np.float32),
        verts=anatomy.canonical,
        tris=anatomy.triangles.astype(np.int32),
    )
    return folder
