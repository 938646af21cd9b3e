"""What memory the fit takes."""

from __future__ import annotations

import math

from data.prepared import DataSpec
from models.svm.config import Config
from models.svm.rows import ROOM


def footprint(config: Config, spec: DataSpec, count: int) -> int:
    """Return the bytes of the fit to ``count`` images: pixels, the kernel, and what the solver makes of it."""
    dim = math.prod(spec.shape)
    if config.loss == "hinge":
        rows = min(ROOM, 4 * count**2)
        return int(9 * count * dim + rows)
    if config.kernel == "linear":
        return 8 * (2 * count * dim + 2 * dim**2)
    landmarks = min(config.landmarks, count)
    exact = 8 if count <= config.landmarks else 4
    pixels = (count + 17 * landmarks) * dim  # the landmarks' are centred, in float64
    return pixels + 2 * exact * count * landmarks + 24 * landmarks**2
