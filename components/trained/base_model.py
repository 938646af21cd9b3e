"""The trained model that one of ``fine_tuned:`` starts from."""

from __future__ import annotations

import models
from components.project import layout
from components.project.params import ModelParams
from data.errors import UserError
from models import checkpoint
from models.checkpoint import Checkpoint


def load(entry: ModelParams, where: str) -> Checkpoint | None:
    """Return the checkpoint of ``entry.base``; None for a family that starts from nothing.

    Args:
        entry: the model that starts from it.
        where: what an error's message names before the key, such as ``params.yaml: fine_tuned.digits-lora``.

    Raises:
        UserError: it was not trained, is of another family than ``entry.family`` starts from, or one that needs a base
            has none or the other way round.
    """
    wanted = getattr(models.family(entry.family), "BASE", None)
    if wanted is None and entry.base is None:
        return None
    if entry.base is None:
        told = f"starts from the weights of a {wanted!r}: it belongs under 'fine_tuned', with a 'base'"
        raise UserError(f"{where}.family: {entry.family!r} {told}.")
    if wanted is None:
        raise UserError(
            f"{where}.family: {entry.family!r} starts from nothing: it does not belong under 'fine_tuned'."
        )
    found = checkpoint.load(layout.trained(entry.base))
    family = found.family.__name__.removeprefix("models.")
    if family != wanted:
        raise UserError(
            f"{where}.base: {entry.base!r} is a {family!r}, but {entry.family!r} starts from a {wanted!r}."
        )
    return found
