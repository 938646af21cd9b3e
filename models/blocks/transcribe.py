"""What models that write texts share: their settings, how they are trained and validated, and the graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Generator, Tensor, nn
from torch.nn import functional

from data.prepared import DataSpec, PreparedData
from data.text import END
from models import ranks
from models.blocks import draws, loop
from models.blocks.augment import Augmented
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.run import Run

CHUNK = 512
IGNORED = -100
"""A target that costs nothing: PyTorch's cross-entropy leaves it out."""

QUICK: dict[str, Any] = {
    "channels": (16, 32, 64, 96),
    "stride": 4,
    "label_smoothing": 0.05,
    "batch_size": 64,
    "learning_rate": 4e-3,
}
"""What the quick presets of all writers of texts have in common."""

FULL: dict[str, Any] = {
    "channels": (32, 64, 128, 256),
    "label_smoothing": 0.1,
    "beams": 4,
    "shift": 1,
    "epochs": 60,
    "least_steps": 10_000,
    "batch_size": 256,
    "weight_decay": 0.05,
    "ema_decay": 0.999,
}
"""What their full presets have in common."""


class Transcribing(Augmented):
    """The settings that all writers of texts have. An image that ``flip`` mirrors is read backwards.

    Attributes:
        channels: of the convolutions over the image; at the first it keeps its size, at each other the height halves.
        convolutions: how many with each of these numbers of channels.
        stride: columns of pixels that are read as one: 2 to the number of convolutions that halve the width.
        label_smoothing: probability taken from the right symbol and spread over all (Szegedy et al. 2016).
        beams: texts that are kept while writing; 1 is greedy.
    """

    channels: tuple[int, ...] = Field(default=(16, 32, 64), min_length=1)
    convolutions: int = Field(default=1, ge=1)
    stride: int = Field(default=2, ge=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    beams: int = Field(default=1, ge=1)

    def change_line(self, x_bchw: Tensor, texts: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return changed images, float [N, C, H, W] like the given ones, and what they say, int64 [N, L]."""
        x_bchw = self.distort(x_bchw, generator)
        if not self.flip:
            return x_bchw, texts
        mirrored = draws.rand(len(x_bchw), generator=generator, device=x_bchw.device) < 0.5
        x_bchw = torch.where(mirrored[:, None, None, None], x_bchw.flip(3), x_bchw)
        return x_bchw, torch.where(mirrored[:, None], backwards(texts), texts)

    @model_validator(mode="after")
    def _halve_often_enough(self) -> Self:
        if self.stride not in (strides := [2**times for times in range(len(self.channels))]):
            raise ValueError(
                f"stride: {self.stride}; with {len(self.channels)} channels it is one of {strides}"
            )
        return self


class Transcriber(nn.Module, ABC):
    """Images [N, C, H, W] in [0, 1] to logits [N, L, V] of the symbols of their texts and, last, the end.

    Attributes:
        config: its settings.
        end: index of the end, which is what is given before the first symbol, too.
        longest: L.
    """

    def __init__(self, config: Transcribing, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.end, self.longest = len(spec.symbols), spec.longest_text

    @abstractmethod
    def write(self, x_bchw: Tensor, beams: int) -> tuple[Tensor, Tensor]:
        """Return texts int64 [N, L] and their probabilities float32 [N] for images [N, C, H, W] in [0, 1]."""


def given(texts: Tensor, end: int) -> Tensor:
    """Return int64 [N, L]: what is last written before each place, the end before the first, of ``texts`` [N, L]."""
    begin = torch.full_like(texts[:, :1], end)
    return torch.cat([begin, torch.where(texts[:, :-1] == END, end, texts[:, :-1])], dim=1)


def backwards(texts: Tensor) -> Tensor:
    """Return ``texts`` int64 [N, L], each from its last symbol to its first."""
    places = (texts != END).sum(dim=1, keepdim=True) - 1 - torch.arange(texts.shape[1], device=texts.device)
    return torch.where(places < 0, END, texts.gather(1, places.clamp(min=0)))


def wanted(texts: Tensor, end: int) -> Tensor:
    """Return int64 [N, L]: what should be written at each place, the end once; after it :data:`IGNORED`."""
    after = torch.cat([torch.zeros_like(texts[:, :1]), texts[:, :-1]], dim=1) == END
    return torch.where(texts == END, end, texts).masked_fill(after, IGNORED)


def cross_entropy(logits: Tensor, texts: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """Return nats per symbol, the end among them, of ``logits`` [N, L, V] on ``texts`` int64 [N, L]."""
    targets = wanted(texts, logits.shape[-1] - 1).flatten()
    nats = functional.cross_entropy(
        logits.float().flatten(0, 1),
        targets,
        ignore_index=IGNORED,
        label_smoothing=smoothing,
        reduction=reduction,
    )
    if reduction == "sum":
        return nats
    symbols = (targets != IGNORED).sum()
    return nats * (symbols / ranks.evenly(symbols, 1))


def train(network: Transcriber, data: PreparedData, run: Run, config: Transcribing, loss: loop.Loss) -> None:
    """Train ``network`` in place on the lines of ``data.train``; ``data.validation`` chooses the best weights."""

    def changed(network: Transcriber, x_bchw: Tensor, texts: Tensor) -> Tensor:
        return loss(network, *config.change_line(x_bchw, texts, run.generator))

    loop.train(network, data, run, config, loss=changed, validate=validate, tensors=("images", "texts"))


@torch.no_grad()
def validate(network: Transcriber, split: Batches) -> dict[str, float]:
    """Return ``loss``, nats per symbol with all before it given, and ``exact_match`` of texts written greedily."""
    nats = torch.zeros((), dtype=torch.float64, device=split.device)
    right, symbols = torch.zeros((2,), dtype=torch.int64, device=split.device).unbind()
    for images, texts in split.in_order(CHUNK):
        x_bchw = unit(images)
        logits = network(x_bchw, texts)
        nats += cross_entropy(logits, texts, reduction="sum")
        symbols += (wanted(texts, logits.shape[-1] - 1) != IGNORED).sum()
        right += (network.write(x_bchw, beams=1)[0] == texts).all(dim=1).sum()
    return {"loss": float(nats / symbols), "exact_match": float(right) / len(split)}


class TranscriberGraph(nn.Module):
    """What is exported: uint8 images in, the symbols of their texts and how probable they are out."""

    def __init__(self, network: Transcriber, beams: int) -> None:
        super().__init__()
        self.network, self.beams = network, beams

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 [N, H, W, C] to ``symbols`` int64 [N, L], -1 after the end, and ``confidence`` float32 [N]."""
        return self.network.write(unit(image), self.beams)
