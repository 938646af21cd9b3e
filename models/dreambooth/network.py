"""The network: that of the model it starts from, with a new word and no more parameters than that."""

from __future__ import annotations

from data.captions import FIRST
from data.errors import UserError
from data.prepared import DataSpec
from models import text_to_image
from models.checkpoint import Checkpoint
from models.dreambooth.config import Config
from models.text_to_image import LatentDiffusion


class SubjectDiffusion(LatentDiffusion):
    """A ``text_to_image`` that knows what it is to be taught.

    Attributes:
        tuning: the settings of the fine-tuning; ``config`` are those of the network.
        new: the labels of the classes that the base did not know; :func:`start` sets them.
        learned: likewise, the tokens of words that it did not know.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.base, spec)
        self.tuning = config
        self.new: tuple[int, ...] = ()
        self.learned: tuple[int, ...] = ()


def build(config: Config, spec: DataSpec) -> SubjectDiffusion:
    """Return the network with random weights."""
    return SubjectDiffusion(config, spec)


def start(model: SubjectDiffusion, base: Checkpoint) -> None:
    """Give ``model`` the weights of ``base``. A new word keeps its random vector: it means nothing yet.

    Raises:
        UserError: the pictures do not fit, or the classes are all new or all old.
    """
    text_to_image.start(model, base)
    ours, theirs = model.spec, base.spec
    model.new = tuple(label for label, name in enumerate(ours.classes) if name not in theirs.classes)
    model.learned = tuple(token for token, word in enumerate(ours.words, FIRST) if word not in theirs.words)
    if not model.new:
        raise UserError(
            f"{ours.name}: {theirs.name}, which the model that this one starts from was trained on, has all of its "
            "classes: there is no subject to learn."
        )
    if len(model.new) == len(ours.classes):
        raise UserError(
            f"{ours.name}: none of its classes is one of {theirs.name}, which the model that this one starts from was "
            "trained on: without captions of old classes there is no image to remember them by."
        )
