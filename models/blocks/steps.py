"""How far a training of many epochs is, and which batches come next: what two loops count alike."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from data.errors import UserError
from models import ranks
from models.blocks import batches
from models.blocks.batches import Batches, Order
from models.blocks.photographs import Change
from models.run import Run


class Passes(Protocol):
    """The settings that say how long: see ``Recipe`` in :mod:`models.blocks.loop`."""

    epochs: int
    least_steps: int
    batch_size: int


class Steps:
    """Counts the steps of a training.

    Attributes:
        done: steps taken so far; whoever takes one counts it.
        total: steps in all.
        size: images a step, of all ranks.
        in_epoch: steps of a whole epoch.
    """

    def __init__(self, recipe: Passes, run: Run, num_images: int) -> None:
        self._run, self._num_images = run, num_images
        self.size = min(recipe.batch_size, num_images)
        if self.size < ranks.count():
            raise UserError(
                f"{run.name}: a batch of {self.size} is too small for {ranks.count()} GPUs. Use fewer."
            )
        self.in_epoch = num_images // self.size
        self.total = max(recipe.epochs * self.in_epoch, recipe.least_steps)
        self.done = 0

    @property
    def finished(self) -> bool:
        """Whether all steps are taken."""
        return self.done >= self.total

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step ended an epoch, or the training."""
        return self.done % self.in_epoch == 0 or self.finished

    @property
    def share(self) -> float:
        """How much of the training is done, in [0, 1]."""
        return self.done / self.total

    def batches(
        self, split: Batches, order: Order = batches.order, change: Change | None = None
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield this rank's rows of the batches that are still to come, each epoch in an ``order`` of its own.

        Of whole batches only.

        ``change`` draws by seed, epoch and place in the order, so that no batch depends on what was drawn before it.
        """
        seed = self._run.seed
        while not self.finished:
            epoch, position = divmod(self.done, self.in_epoch)
            chosen = order(self._num_images, seed, epoch)
            stop = min(self.in_epoch, position + self.total - self.done)
            own = ranks.shares(self.size)[ranks.number()]
            rows = torch.arange(position * self.size, stop * self.size).view(-1, self.size)
            places = rows[:, own.first : own.first + own.rows].flatten()
            changed = change and partial(_changed, change, (seed, epoch), places.tolist())
            yield from split.read(chosen[places], own.rows, changed)

    def show(self) -> None:
        """Show how far the training is, with the latest row of its history."""
        latest = self._run.history[-1] if self._run.history else {}
        metrics = {key: value for key, value in latest.items() if key != "step"}
        self._run.progress(self.done, self.total, "step", **metrics)


def _changed(
    change: Change, drawn_by: tuple[int, int], places: list[int], image: Tensor, place: int
) -> Tensor:
    return change(image, batches.generator(*drawn_by, places[place]))
