"""Starting from the weights of a trained model, with the words of other data."""

from __future__ import annotations

import torch

from data.captions import FIRST
from data.errors import UserError
from models.checkpoint import Checkpoint
from models.text_to_image.network import LatentDiffusion


@torch.no_grad()
def start(model: LatentDiffusion, base: Checkpoint) -> None:
    """Give ``model``, which has the settings of ``base``, its weights; what ``base`` lacks stays as it is.

    A word that ``base`` does not know keeps its random vector, and so does a place beyond its longest caption.

    Raises:
        UserError: its pictures have another size or other colours.
    """
    ours, theirs = model.spec, base.spec
    for side in ("height", "width", "channels"):
        if getattr(ours, side) != getattr(theirs, side):
            raise UserError(
                f"{ours.name}: its pictures have {side} {getattr(ours, side)}, but those of {theirs.name}, which the "
                f"model that this one starts from was trained on, have {getattr(theirs, side)}."
            )
    weights = base.model.state_dict()
    vectors, places = model.text.embed.weight, model.text.places
    vectors[:FIRST] = weights["text.embed.weight"][:FIRST]
    for row, word in enumerate(ours.words, FIRST):
        if word in theirs.words:
            vectors[row] = weights["text.embed.weight"][FIRST + theirs.words.index(word)]
    shared = min(ours.longest_caption, theirs.longest_caption)
    places[:, :shared] = weights["text.places"][:, :shared]
    own = {"text.embed.weight": vectors, "text.places": places}
    model.load_state_dict(model.state_dict() | weights | own)
