"""What memory the fit takes."""

from __future__ import annotations

import math

from data.prepared import DataSpec
from models.logreg.config import Config
from models.logreg.solver import HISTORY


def footprint(config: Config, spec: DataSpec, count: int) -> int:
    """Return the bytes of the fit to ``count`` images: pixels in float32, also centred, and L-BFGS's memory."""
    dim = math.prod(spec.shape)
    return 4 * (3 * count * dim + (2 * HISTORY + 10) * spec.num_classes * dim)
