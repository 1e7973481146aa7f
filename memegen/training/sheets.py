"""Sample sheets: what the generator makes while it learns, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from memegen.files import written_whole
from memegen.generators.anatomical import attention_map
from memegen.generators.network import GeneratorNet
from memegen.training.generation import Samples, generate


def write_sheet(path: Path, network: GeneratorNet, samples: Samples) -> None:
    """One row a sample: photo, moved by the mesh, generated, what changed, target where known."""
    with torch.inference_mode():
        generated, passes = generate(network, samples)
        blank = torch.zeros_like(generated[samples.paired :])
        columns = [
            samples.photo,
            samples.moved,
            generated,
            attention_map(passes, samples.moved).expand(-1, 3, -1, -1),
            torch.cat([samples.target, blank]),
        ]
    write_columns(path, columns)


def write_columns(path: Path, columns: Sequence[Tensor]) -> None:
    """Columns (B, 3, H, W) of 0..1 beside each other, one row for each of B, as a picture."""
    rows = torch.cat([column.float() for column in columns], 3)
    picture = rows.permute(0, 2, 3, 1).flatten(0, 1).clamp(0, 1).cpu().numpy()
    with written_whole(path) as partial:
        Image.fromarray((picture * 255 + 0.5).astype(np.uint8)).save(partial, "PNG")
