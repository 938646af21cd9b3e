"""What one of ``fine_tuned:`` or ``pretrained:`` starts from: a trained model, or weights that others have trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import models
from components.project import layout
from components.project.sections import ModelParams
from data.errors import UserError
from models import checkpoint
from models.blocks import weight_files
from models.checkpoint import Checkpoint


def load(entry: ModelParams, where: str) -> Checkpoint | None:
    """Return the checkpoint of ``entry.base``; None for a family that does not start from a whole model.

    Args:
        entry: the model that starts from it.
        where: what an error's message names before the key, such as ``params.yaml: fine_tuned.digits-lora``.

    Raises:
        UserError: it was not trained, is of another family than ``entry.family`` starts from, or one that needs a base
            has none or the other way round.
    """
    family = models.family(entry.family)
    wanted = getattr(family, "BASE", None)
    if wanted is None and (entry.base is None or takes_weights(entry)):
        return None
    if entry.base is None:
        told = f"starts from the weights of a {wanted!r}: it belongs under 'fine_tuned', with a 'base'"
        raise UserError(f"{where}.family: {entry.family!r} {told}.")
    if wanted is None:
        raise UserError(
            f"{where}.family: {entry.family!r} starts from nothing: it does not belong under 'fine_tuned'."
        )
    found = checkpoint.load(layout.trained(entry.base))
    theirs = found.family.__name__.removeprefix("models.")
    if theirs != wanted:
        raise UserError(
            f"{where}.base: {entry.base!r} is a {theirs!r}, but {entry.family!r} starts from a {wanted!r}."
        )
    return found


def takes_weights(entry: ModelParams) -> bool:
    """Say whether ``entry`` starts from weights alone, which its family fits into a network of its own."""
    return entry.base is not None and getattr(models.family(entry.family), "PRETRAINED", False)


def settings(entry: ModelParams) -> dict[str, Any]:
    """Return the setting by which the family finds the weights that it starts from; none without such."""
    if not takes_weights(entry):
        return {}
    folder = layout.trained(entry.base)
    for_transformers = folder / "huggingface"  # of a model of this project that transformers can read
    return {"base": str(for_transformers if for_transformers.is_dir() else folder)}


def origin(entry: ModelParams) -> dict[str, Any] | None:
    """Return where the weights that ``entry`` starts from come from: for its checkpoint and its bundle."""
    if not takes_weights(entry):
        return None
    folder = layout.trained(entry.base)
    if (folder / weight_files.ORIGIN).is_file():
        return json.loads((folder / weight_files.ORIGIN).read_text())
    before = json.loads((folder / checkpoint.DESCRIPTION).read_text()).get("origin")
    own = {
        "name": entry.base,
        "source": "a model of this project",
        "sha256": weight_files.sha256([folder / checkpoint.WEIGHTS]),
    }
    return own | ({"pretrained": before} if before else {})


def files(entry: ModelParams) -> list[Path]:
    """Return the files of the weights that ``entry`` starts from."""
    return weight_files.in_folder(layout.trained(entry.base)) if entry.base else []
