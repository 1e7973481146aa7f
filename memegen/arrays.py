"""Names for the arrays that travel between modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]  # float32 in practice; numpy's stubs widen results
Picture = npt.NDArray[np.uint8]  # (H, W, 3) RGB or (H, W, 4) with alpha, 0..255
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # lightness of (red, green, blue), ITU-R BT.601
