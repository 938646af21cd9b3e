"""What a generator's family can show of how samples come about: walks from one to another, reconstructions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from components.bundles.signature import Arrays
from components.evaluation.hooks import Evaluated, Hook
from data.prepared import PreparedData

PICTURES = {
    "interpolate": ("interpolation", "From one sample to another"),
    "traverse": ("traversal", "One number of the code in each row, from low to high"),
    "trajectory": ("trajectory", "From noise to a sample"),
}
"""By the family's function ``(model, seed) -> uint8 [N, T, H, W, C]``: the picture's name and its title."""


SHOWN = 16
"""Test images are reconstructed."""


def _walk(name: str, tell: Callable[..., Any], model: Evaluated) -> Arrays:
    return {name: tell(model.seed)}


def _reconstruct(tell: Callable[..., Any], model: Evaluated) -> Arrays:
    return {"reconstruction": tell(model.data.test.images[:SHOWN])}


HOOKS: dict[str, Hook] = {
    **{name: partial(_walk, name) for name in PICTURES},
    "reconstruct": _reconstruct,
}
"""What :func:`draw` shows, by the family's function."""


def draw(folder: Path, answers: Arrays, data: PreparedData) -> None:
    """Draw the walks among ``answers``, a row each, and its ``reconstruction`` of the first test images below them."""
    from components.pictures import grid

    if "reconstruction" in answers:
        pairs = np.concatenate([data.test.images[:SHOWN], answers["reconstruction"][:SHOWN]])
        grid.draw(
            folder / "reconstructions.png",
            pairs,
            columns=min(SHOWN, len(data.test)),
            title="Test images above, reconstructions below",
        )
    for walk, (name, title) in PICTURES.items():
        if walk in answers:
            rows, steps = answers[walk].shape[:2]
            images = answers[walk].reshape(rows * steps, *answers[walk].shape[2:])
            grid.draw(folder / f"{name}.png", images, columns=steps, title=title, cell=84)
