"""Training the copy; the locked model stays, bit for bit."""

from __future__ import annotations

from torch import Tensor

from data.prepared import PreparedData
from models.blocks import denoising, held_out, loop
from models.blocks.batches import Batches
from models.controlnet.network import Controlled, shown
from models.run import Run
from models.text_to_image.fit import drawn, hidden


def fit(model: Controlled, data: PreparedData, run: Run) -> None:
    """Train ``model.control`` in place on ``data.train``; ``data.validation`` chooses the best weights."""
    model.requires_grad_(False)
    model.control.requires_grad_(True)

    def loss(network: Controlled, x_bchw: Tensor, captions: Tensor, edges: Tensor) -> Tensor:
        latent, times, noised = drawn(network, x_bchw, run)
        told = network.text(hidden(captions, network.recipe.caption_dropout, run))
        return denoising.errors(network, latent, times, noised, *told, *shown(network, edges)).mean()

    def validate(network: Controlled, split: Batches) -> dict[str, float]:
        def losses(x_bchw: Tensor, captions: Tensor, edges: Tensor, noise: Tensor, places: Tensor) -> Tensor:
            times, noised = denoising.even(places, network.config.times), noise.unflatten(1, network.shape)
            told = (*network.text(captions), *shown(network, edges))
            return denoising.errors(network, network.encode(x_bchw), times, noised, *told)

        return {"loss": held_out.mean(split, network.dim, losses)}

    tensors = ("images", "captions", "inputs")
    loop.train(model, data, run, model.recipe, loss=loss, validate=validate, tensors=tensors)
