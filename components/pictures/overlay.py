"""Images with a map over them: bright where it is 1, dark where it is 0."""

from __future__ import annotations

import numpy as np


def shade(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return uint8 [N, H, W, 3]: ``images`` uint8 [N, H, W, C] under ``maps`` float [N, H, W] in [0, 1].

    What has weight keeps its brightness and turns warm; the rest fades into blue, so that black pixels show it too.
    """
    grey = images.mean(axis=3, keepdims=True)
    warm, cold = np.array([255.0, 190.0, 90.0]), np.array([20.0, 45.0, 90.0])
    tint = maps[..., None] * warm + (1 - maps[..., None]) * cold
    return np.clip(0.45 * tint + 0.55 * grey * (0.35 + 0.65 * maps[..., None]), 0, 255).astype(np.uint8)
