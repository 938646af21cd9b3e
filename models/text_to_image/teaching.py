"""Teaching a trained model new classes from few images, without making it forget the old ones.

Both are DreamBooth's ideas (Ruiz et al. 2022, section 3): the new ones are trained on together with images that the
model itself draws of old captions before it learns anything, its prior.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from data import at_once, captions
from data.captions import FIRST
from data.prepared import DataSpec, PreparedData, Split
from models.blocks import denoising, loop
from models.blocks.loop import Recipe
from models.checkpoint import Checkpoint
from models.run import Run
from models.text_to_image import base_weights
from models.text_to_image.config import Config
from models.text_to_image.fit import drawn, hidden, validate
from models.text_to_image.network import LatentDiffusion
from models.text_to_image.sample import graph

CHUNK = 250

UNTOLD = -1
"""In place of the class of an image that was drawn of a caption without its new words: whatever it is of, it is old."""


class Teaching(Recipe):
    """How a model is taught; what :class:`~models.blocks.loop.Recipe` says is about that.

    Attributes:
        base: the settings of the model that it starts from.
        images: images of new classes that are trained on, of each class as many.
        prior_images: images that the model draws of captions of old classes before it is taught.
        plain_images: and of the captions that it is taught, without their new words: "a red seven" for "a red zib
            seven". What is nearest to what is taught is the first to be taken for it; the paper's prior is of these
            alone, its class-specific one (section 3.3).
        new_share: share of new images in an epoch; they are repeated for it.
    """

    base: Config = Config()
    images: int = Field(ge=1)
    prior_images: int = Field(default=200, ge=0)
    plain_images: int = Field(default=0, ge=0)
    new_share: float = Field(default=0.5, gt=0, lt=1)


@dataclass(frozen=True)
class Lesson:
    """What is trained on, and what is measured on meanwhile."""

    train: Split
    validation: Split


class Student(LatentDiffusion):
    """A latent diffusion model that is taught.

    Attributes:
        teaching: how.
        known: the classes that it knew before; :func:`start` says so.
        learned: likewise, the tokens of the words that it did not know.
    """

    def __init__(self, teaching: Teaching, spec: DataSpec) -> None:
        super().__init__(teaching.base, spec)
        self.teaching = teaching
        self.known: tuple[str, ...] = ()
        self.learned: tuple[int, ...] = ()


def start(model: Student, base: Checkpoint) -> None:
    """Give ``model`` the weights of ``base``, as :func:`models.text_to_image.base_weights.start` does."""
    base_weights.start(model, base)
    model.known = base.spec.classes
    model.learned = tuple(
        token for token, word in enumerate(model.spec.words, FIRST) if word not in base.spec.words
    )


def teach(model: Student, data: PreparedData, run: Run) -> None:
    """Train what of ``model`` wants a gradient on new images of ``data.train`` and on the prior.

    The weights at the end are used: what a few images teach shows in no loss over others.
    """
    model.to(run.device)
    before = copy.deepcopy(model).requires_grad_(False).eval()
    splits = Lesson(lesson(model, data, run.seed), data.validation)
    is_new = torch.tensor(_is_new(model, data.spec), device=run.device)

    def loss(network: Student, x_bchw: Tensor, told: Tensor, labels: Tensor) -> Tensor:
        old = (labels == UNTOLD) | ~is_new[labels]
        # Of new images none is seen without its caption: what guidance leads away from stays as it was.
        told = torch.where(old[:, None], hidden(told, network.config.caption_dropout, run), told)
        latent, times, noised = drawn(network, x_bchw, run)
        mixture, right = denoising.task(network, latent, times, noised)
        with torch.no_grad():
            right[old] = before(mixture[old], times[old], *before.text(told[old])).float()
        return denoising.distance(network(mixture, times, *network.text(told)), right).mean()

    tensors = ("images", "captions", "labels")
    loop.train(model, splits, run, model.teaching, loss=loss, validate=validate, tensors=tensors, keep="last")


def lesson(model: Student, data: PreparedData, seed: int) -> Split:
    """Return what an epoch is of: the images of new classes, repeated, and the prior, which ``seed`` is of.

    Of the prior, the ``plain_images`` come last; their labels are :data:`UNTOLD`.
    """
    teaching, split = model.teaching, data.train
    is_new = _is_new(model, data.spec)[split.labels]
    new = _various(split, np.flatnonzero(is_new), teaching.images)
    old = _various(split, np.flatnonzero(~is_new), teaching.prior_images)
    plain = np.resize(new, teaching.plain_images)
    share = teaching.new_share / (1 - teaching.new_share)
    repeated = np.resize(new, max(len(new), round(share * (len(old) + len(plain)))))
    part = _take(split, np.concatenate([repeated, old, plain]))
    first, first_plain = len(repeated), len(repeated) + len(old)
    labels, told = part.labels.copy(), part.captions.copy()
    labels[first_plain:] = UNTOLD
    told[first_plain:] = captions.without(told[first_plain:], model.learned)
    images = np.concatenate([part.images[:first], draw(model, told[first:], seed)])
    return replace(part, images=images, labels=labels, captions=told)


@torch.no_grad()
def draw(model: LatentDiffusion, told: np.ndarray, seed: int) -> np.ndarray:
    """Return uint8 [N, H, W, C]: an image of each caption told, int64 [N, L]."""
    if not len(told):
        return np.empty((0, *model.spec.shape), np.uint8)
    device = model.alpha.device
    drawn, size = graph(model), at_once.pictures(model.spec.shape, CHUNK)
    images = [
        drawn(torch.as_tensor(part).to(device), torch.tensor([seed + number], device=device))
        for number, part in enumerate(np.split(told, range(size, len(told), size)))
    ]
    return torch.cat(images).cpu().numpy()


def _is_new(model: Student, spec: DataSpec) -> np.ndarray:
    """Return bool [K]: whether the model did not know each class."""
    return np.array([name not in model.known for name in spec.classes])


def _take(split: Split, places: np.ndarray) -> Split:
    """Return a split of these of its examples."""
    ids = [split.ids[place] for place in places]
    return Split(split.images[places], split.labels[places], ids, captions=split.captions[places])


def _various(split: Split, places: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` of ``places``, of each class as many, with images that differ as much as they can.

    Each is the one that is farthest from those of its class that were chosen before (Gonzalez 1985), as pixels are:
    what is taught shall not hang on what happens to be beside it.
    """
    labels = split.labels[places]
    classes = np.unique(labels)
    chosen = []
    for number, label in enumerate(classes):
        members = places[labels == label]
        images = split.images[members].reshape(len(members), -1).astype(np.float32)
        apart, share = np.full(len(members), np.inf), count // len(classes) + (number < count % len(classes))
        for _ in range(min(share, len(members))):
            place = int(apart.argmax())
            apart = np.minimum(apart, np.square(images - images[place]).sum(axis=1))
            apart[place] = -1
            chosen.append(members[place])
    return np.sort(np.array(chosen, np.int64))
