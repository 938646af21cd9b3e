"""Walks: rows of images that show how a model's samples come about, where its family can tell."""

from __future__ import annotations

from pathlib import Path

from components.tasks import Arrays

PICTURES = {
    "interpolate": ("interpolation", "From one sample to another"),
    "traverse": ("traversal", "One number of the code in each row, from low to high"),
    "trajectory": ("trajectory", "From noise to a sample"),
}
"""By the family's function ``(model, seed) -> uint8 [N, T, H, W, C]``: the picture's name and its title."""


def draw(folder: Path, answers: Arrays) -> None:
    """Draw the walks among ``answers``, a row each."""
    from components.pictures import grid

    for walk, (name, title) in PICTURES.items():
        if walk in answers:
            rows, steps = answers[walk].shape[:2]
            images = answers[walk].reshape(rows * steps, *answers[walk].shape[2:])
            grid.draw(folder / f"{name}.png", images, columns=steps, title=title, cell=84)
