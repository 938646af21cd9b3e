"""The training: pictures of the subject and, of each as many, images of what the model drew before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.captions import PADDING
from data.errors import UserError
from data.prepared import PreparedData, Split
from models.blocks import denoising, held_out, loop
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.dreambooth import prior
from models.dreambooth.network import SubjectDiffusion
from models.run import Run

MOST = 128
"""Pictures of old classes that weights are validated on, and as often those of the subject."""


@dataclass(frozen=True)
class Remembered:
    """What an epoch goes over.

    Attributes:
        train: the prior images.
        validation: the subject's pictures again and again, and as many of old classes from the validation split.
    """

    train: Split
    validation: Split


def fit(model: SubjectDiffusion, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place, from the weights that ``start`` gave it.

    The only pictures of the subject that are looked at are those that :func:`subject` names; they and pictures of old
    classes of ``data.validation`` choose the best weights.

    Raises:
        UserError: there are fewer pictures of the subject than ``images`` asks for.
    """
    settings, generator = model.tuning, run.generator
    model.to(run.device)
    shown = subject(model, data)
    remembered = prior.draw(model, shown, data.train, run)
    pictures = unit(torch.as_tensor(shown.images).to(run.device))
    captions = torch.as_tensor(shown.captions).to(run.device)
    # The paper trains the U-Net and the text encoder; the autoencoder is a part of what is saved, and stays as it is.
    model.autoencoder.requires_grad_(False)

    def errors(network: SubjectDiffusion, x_bchw: Tensor, tokens: Tensor) -> Tensor:
        with torch.no_grad():
            latent = network.encode(x_bchw)
        times, noised = denoising.draw(network, latent, generator)
        return denoising.errors(network, latent, times, noised, *network.text(tokens))

    def loss(network: SubjectDiffusion, x_bchw: Tensor, told: Tensor) -> Tensor:
        """Return equation 2 of the paper: the subject's error and the weighted one of what is to be remembered."""
        chosen = torch.randint(len(pictures), (len(x_bchw),), generator=generator, device=run.device)
        learned = errors(network, pictures[chosen], captions[chosen])
        # What is drawn without a caption, which guidance leads away from, is to be remembered as well.
        hidden = (
            torch.rand(len(told), generator=generator, device=run.device) < network.config.caption_dropout
        )
        kept = errors(network, x_bchw, told.masked_fill(hidden[:, None], PADDING))
        return learned.mean() + settings.prior_weight * kept.mean()

    def validate(network: SubjectDiffusion, split: Batches) -> dict[str, float]:
        def losses(x_bchw: Tensor, told: Tensor, drawn: Tensor, places: Tensor) -> Tensor:
            times, noised = denoising.even(places, network.config.times), drawn.unflatten(1, network.shape)
            return denoising.errors(network, network.encode(x_bchw), times, noised, *network.text(told))

        return {"loss": held_out.mean(split, network.dim, losses)}

    loop.train(
        model,
        Remembered(remembered, _validation(model, shown, data.validation)),
        run,
        settings,
        loss=loss,
        validate=validate,
        tensors=("images", "captions"),
    )


def subject(model: SubjectDiffusion, data: PreparedData) -> Split:
    """Return the pictures that the subject is learned from, spread evenly over those that the train split has."""
    wanted = model.tuning.images
    places = np.isin(data.train.labels, model.new).nonzero()[0]
    if len(places) < wanted:
        classes = ", ".join(repr(data.spec.classes[label]) for label in model.new)
        raise UserError(
            f"{data.spec.name}: its train split has {len(places)} pictures of {classes}, and images is {wanted}."
        )
    chosen = prior.evenly(places, wanted)
    ids = [data.train.ids[place] for place in chosen]
    return Split(
        data.train.images[chosen], data.train.labels[chosen], ids, captions=data.train.captions[chosen]
    )


def _validation(model: SubjectDiffusion, shown: Split, split: Split) -> Split:
    old = prior.evenly((~np.isin(split.labels, model.new)).nonzero()[0], MOST)
    again = np.arange(len(old)) % len(shown)
    ids = [shown.ids[place] for place in again] + [split.ids[place] for place in old]
    parts = ((shown, again), (split, old))
    images, labels, captions = (
        np.concatenate([getattr(part, name)[places] for part, places in parts])
        for name in ("images", "labels", "captions")
    )
    return Split(images, labels, ids, captions=captions)
