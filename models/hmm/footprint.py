"""What memory the fit takes."""

from __future__ import annotations

import math

from data import at_once
from data.prepared import DataSpec
from models.hmm import start
from models.hmm.config import Config
from models.hmm.density import CHUNK


def footprint(config: Config, spec: DataSpec, count: int) -> int:
    """Return the bytes of the fit to ``count`` images: their levels, and what is computed on some of them at a time."""
    dim, strips = math.prod(spec.shape), spec.height // config.strip
    of_class = max(1, count // spec.num_classes)
    chunk = min(of_class, at_once.pictures(spec.shape, CHUNK))
    first = min(of_class, at_once.pictures(spec.shape, start.IMAGES, start.NUMBERS))
    together = max(
        8 * chunk * (4 * dim + 5 * strips * config.states), 8 * first * (5 * dim + 3 * strips * config.states)
    )
    chains = (
        8 * spec.num_classes * config.states * (2 * config.strip * spec.width * spec.channels + config.states)
    )
    return 2 * count * dim + together + 5 * chains
