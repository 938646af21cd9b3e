"""Training in two phases: first the autoencoder, then the U-Net and the text encoder on what it makes of the images."""

from __future__ import annotations

import torch
from torch import Tensor

from data.captions import PADDING
from data.prepared import PreparedData
from models.blocks import denoising, draws, held_out, loop
from models.blocks.batches import Batches
from models.blocks.gaussian import divergence
from models.blocks.pixels import unit
from models.run import Run
from models.text_to_image.autoencoder import Autoencoder
from models.text_to_image.network import LatentDiffusion

AUTOENCODER, DIFFUSION = "autoencoder", "diffusion"
"""The phases of a run."""
CHUNK = 512


def fit(model: LatentDiffusion, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place on ``data.train``; ``data.validation`` chooses the best weights of either phase."""
    if not run.resumes(DIFFUSION):
        run.phase = AUTOENCODER
        _autoencode(model, data, run)
        run.name_phase(AUTOENCODER)
        _scale(model, Batches(data.train, run.device))
    run.phase = DIFFUSION
    # It is a part of what is trained, and so of every resume point, but stays as it is.
    model.autoencoder.requires_grad_(False)
    _diffuse(model, data, run)


def _autoencode(model: LatentDiffusion, data: PreparedData, run: Run) -> None:
    weight = model.config.divergence_weight

    def error(network: Autoencoder, x_bchw: Tensor, drawn: Tensor) -> Tensor:
        """Return [N]: the mean absolute error of the pixels, and the weighted divergence per number of the latent."""
        image = 2 * x_bchw - 1
        rebuilt, mean, log_variance = network(image, drawn)
        apart = (rebuilt.float() - image).abs().mean(dim=(1, 2, 3))
        return apart + weight * divergence(mean.flatten(1), log_variance.flatten(1)) / model.dim

    def loss(network: Autoencoder, x_bchw: Tensor, _: Tensor) -> Tensor:
        drawn = draws.randn(len(x_bchw), *model.shape, generator=run.generator, device=run.device)
        return error(network, x_bchw, drawn).mean()

    def validate(network: Autoencoder, split: Batches) -> dict[str, float]:
        def losses(x_bchw: Tensor, _: Tensor, drawn: Tensor, __: Tensor) -> Tensor:
            return error(network, x_bchw, drawn.unflatten(1, model.shape))

        return {"loss": held_out.mean(split, model.dim, losses)}

    loop.train(model.autoencoder, data, run, model.config.autoencoding(), loss=loss, validate=validate)


@torch.no_grad()
def _scale(model: LatentDiffusion, split: Batches) -> None:
    """Measure the standard deviation of the latents of the train split, ``model.scale``."""
    count, total, squares = 0, 0.0, 0.0
    for images, _ in split.in_order(CHUNK):
        latents = model.autoencoder.encode(2 * unit(images) - 1)[0].double()
        count += latents.numel()
        total += float(latents.sum())
        squares += float(latents.square().sum())
    model.scale.fill_((squares / count - (total / count) ** 2) ** 0.5)


def _diffuse(model: LatentDiffusion, data: PreparedData, run: Run) -> None:
    def loss(network: LatentDiffusion, x_bchw: Tensor, captions: Tensor) -> Tensor:
        latent, times, noised = drawn(network, x_bchw, run)
        told = network.text(hidden(captions, model.config.caption_dropout, run))
        return denoising.errors(network, latent, times, noised, *told).mean()

    tensors = ("images", "captions")
    loop.train(model, data, run, model.config, loss=loss, validate=validate, tensors=tensors)


def drawn(network: LatentDiffusion, x_bchw: Tensor, run: Run) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a step trains on: latents of images [N, C, H, W] in [0, 1], times and noise."""
    with torch.no_grad():
        latent = network.encode(x_bchw)
    return latent, *denoising.draw(network, latent, run.generator)


def hidden(captions: Tensor, share: float, run: Run) -> Tensor:
    """Return captions int64 [N, L] with a ``share`` of them hidden, for guidance."""
    chosen = draws.rand(len(captions), generator=run.generator, device=run.device) < share
    return captions.masked_fill(chosen[:, None], PADDING)


def validate(network: LatentDiffusion, split: Batches) -> dict[str, float]:
    """Return the mean error over the split's images and captions, as ``loss``."""

    def losses(x_bchw: Tensor, captions: Tensor, *belonging: Tensor) -> Tensor:
        *_, noise, places = belonging
        times, noised = denoising.even(places, network.config.times), noise.unflatten(1, network.shape)
        return denoising.errors(network, network.encode(x_bchw), times, noised, *network.text(captions))

    return {"loss": held_out.mean(split, network.dim, losses)}
