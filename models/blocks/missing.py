"""Images with missing pixels, and what a density's means make of them."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def check(images_nhwc: np.ndarray, missing: np.ndarray) -> None:
    """Check that ``missing`` bool [N, H, W] says of each pixel of ``images_nhwc`` [N, H, W, C] whether it is missing.

    Raises:
        ValueError: it is not of that kind or shape.
    """
    if missing.dtype != np.bool_ or missing.shape != images_nhwc.shape[:3]:
        wanted, given = list(images_nhwc.shape[:3]), list(missing.shape)
        raise ValueError(
            f"missing is bool {wanted} for images {list(images_nhwc.shape)}, not {missing.dtype} {given}"
        )


def filled(images_nhwc: np.ndarray, missing: np.ndarray, means_nhwc: Tensor, levels: int) -> np.ndarray:
    """Return uint8 [N, H, W, C]: the images, their missing pixels taken from ``means_nhwc``.

    Args:
        images_nhwc: uint8 [N, H, W, C].
        missing: bool [N, H, W].
        means_nhwc: [N, H, W, C]; level ``k`` of ``levels`` is there ``(k + 0.5) / levels``, the middle of its cell.
        levels: how many values a pixel can take.
    """
    grey = ((means_nhwc.cpu().numpy() * levels - 0.5) / (levels - 1)).clip(0, 1)
    return np.where(missing[..., None], np.round(grey * 255).astype(np.uint8), images_nhwc)
