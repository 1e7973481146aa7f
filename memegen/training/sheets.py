"""Sample sheets: what the generator paints while it learns, as one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from memegen.generators.anatomical import Looked
from memegen.generators.network import GeneratorNet
from memegen.generators.windows import pixel_positions, window_box
from memegen.training.painting import Samples, paint


def write_sheet(path: Path, network: GeneratorNet, samples: Samples) -> None:
    """One row a sample: photo, moved by the mesh, painted, what changed, target where known."""
    with torch.inference_mode():
        painted, looks = paint(network, samples)
        blank = torch.zeros_like(painted[samples.paired :])
        columns = [
            samples.photo,
            samples.moved,
            painted,
            changed(looks, samples.moved).expand(-1, 3, -1, -1),
            torch.cat([samples.target, blank]),
        ]
    rows = torch.cat([column.float() for column in columns], 3)
    picture = rows.permute(0, 2, 3, 1).flatten(0, 1).clamp(0, 1).cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((picture * 255 + 0.5).astype(np.uint8)).save(path)


def changed(looks: list[Looked], like: Tensor) -> Tensor:
    """(T, 1, H, W) the largest 1 - A of all windows, on canvases like `like`."""
    whole = torch.zeros_like(like[:, :1])
    for looked in looks:
        box = window_box(looked.affine.cpu().numpy(), *like.shape[2:])
        large = torch.nn.functional.grid_sample(
            1 - looked.painted.attention,
            pixel_positions(looked.affine, box),
            padding_mode="zeros",
            align_corners=False,
        )
        view = whole[:, :, box.top : box.bottom, box.left : box.right]
        view.copy_(torch.maximum(view, large))
    return whole
