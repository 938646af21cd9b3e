"""Data sets that an installed package carries: there is nothing to download."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data.errors import UserError, nearest
from data.sources import Arrays


def load(name: str) -> Arrays:
    """Return the packaged data set ``name``.

    Raises:
        UserError: no package carries one of that name.
    """
    if name not in DATASETS:
        raise UserError(
            f"data/{name}/dataset.yaml: source: no packaged data set {name!r}.{nearest(name, DATASETS)}"
        )
    return DATASETS[name]()


def digits() -> Arrays:
    """Return scikit-learn's digits: 1,797 images, 8 x 8, whose 17 levels are spread over 0 to 255."""
    from sklearn.datasets import load_digits  # Slow to import, and needed by this one function.

    bunch = load_digits()
    count = len(bunch.images)
    return Arrays(
        ids=[f"{index:04d}" for index in range(count)],
        sources=["scikit-learn digits"] * count,
        splits=[""] * count,
        labels=[str(label) for label in bunch.target],
        images=np.rint(bunch.images * 255 / 16).astype(np.uint8)[..., None],
    )


DATASETS: dict[str, Callable[[], Arrays]] = {"digits": digits}
