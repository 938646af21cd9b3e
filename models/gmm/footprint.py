"""What memory the fit takes."""

from __future__ import annotations

import math

from data.prepared import DataSpec
from models.gmm.config import Config
from models.gmm.density import takes_full


def footprint(config: Config, spec: DataSpec, count: int) -> int:
    """Return the bytes of the fit to ``count`` images: pixels in float64, and the parameters of all components."""
    dim = math.prod(spec.shape)
    of_component = dim**2 if takes_full(config, spec) else 4 * dim
    # Pixels are held by class, beside what they are made of. Parameters: covariances, what whitens by them, and the
    # model's; those of a component that is being made come twice.
    return 8 * (4 * count * dim + 3 * spec.num_classes * config.components * of_component)
