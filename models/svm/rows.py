"""Rows of the kernel matrix, computed when they are first asked for: no problem needs all of them."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from models.svm.kernel import WHITE
from models.svm.one_versus_one import Classifiers

ROOM = 4e9
"""Bytes that rows may take; when they are full, all are forgotten. Pages that hold none yet cost a CPU no memory."""


class Rows:
    """The kernel of single training images with all images of single classes.

    A classifier of two classes needs an image's kernel with its own class and with the other; the first serves the
    class's other classifiers, too. A row has the same bits whichever rows are computed together, so that a
    resumed training computes the same ones.

    Args:
        x: float32 or float64 [N, D], the training images' whole grey levels, centred.
        classifiers: one versus one.
        gamma: the width of ``rbf`` for pixels in [0, 1]; None for the linear kernel.
        least: number of rows that have room in any case.
    """

    def __init__(self, x: Tensor, classifiers: Classifiers, gamma: float | None, least: int) -> None:
        self.x, self.classifiers, self.gamma = x, classifiers, gamma
        self.columns = _exact_columns(x)
        self.lengths = x.double().square().sum(dim=1).to(x.dtype)
        num_classes = len(classifiers.counts)
        room = max(least, int(ROOM / (classifiers.length * x.element_size())))
        self.pool = x.new_empty(min(room, len(x) * num_classes), classifiers.length)
        self.table = torch.full((len(x), num_classes), -1, device=x.device)
        self.used = 0

    def classifiers_at_once(self, working: int) -> int:
        """Return for how many classifiers the rows of ``working`` places have room at a time."""
        everything = len(self.pool) == self.table.numel()
        return len(self.classifiers.classes) if everything else len(self.pool) // (2 * working)

    def slots(self, classifiers: Tensor, places: Tensor) -> Tensor:
        """Return where the pool has the rows of ``places`` [A, Q] of ``classifiers`` [A]: int64 [A, Q, 2], by half."""
        images = self.classifiers.images(classifiers, places)[:, :, None]
        classes = self.classifiers.classes[classifiers][:, None, :]
        wanted = torch.zeros_like(self.table, dtype=torch.bool)
        wanted[images, classes] = True
        missing = wanted & (self.table < 0)
        if self.used + int(missing.sum()) > len(self.pool):
            self.table.fill_(-1)
            self.used = 0
            missing = wanted
        for label in missing.any(dim=0).nonzero()[:, 0].tolist():
            self._compute(missing[:, label].nonzero()[:, 0], label)
        return self.table[images, classes]

    def among(self, slots: Tensor, places: Tensor) -> Tensor:
        """Return the kernel [A, Q, Q] of the images at ``places`` [A, Q] with each other; ``slots`` are theirs."""
        half, position = places // self.classifiers.length, places % self.classifiers.length
        rows = slots.gather(2, half[:, None, :].expand(-1, places.shape[1], -1))
        return self.pool.flatten()[rows * self.classifiers.length + position[:, None, :]]

    def combine(self, slots: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of the rows in ``slots`` [A, Q, 2] by ``weights`` [A, Q]: [A, 2 L]."""
        halves = [
            torch.nn.functional.embedding_bag(
                slots[:, :, half], self.pool, per_sample_weights=weights, mode="sum"
            )
            for half in (0, 1)
        ]
        return torch.cat(halves, dim=1)

    def _compute(self, images: Tensor, label: int) -> None:
        others = self.classifiers.members[label, : int(self.classifiers.counts[label])]
        x, z = self.x[images], self.x[others]
        products = sum(x[:, part] @ z[:, part].T for part in self.columns)
        stop = self.used + len(images)
        rows = self.pool[self.used : stop]
        rows[:, len(others) :] = 0
        rows[:, : len(others)] = self._kernel(products, self.lengths[images][:, None], self.lengths[others])
        self.table[images, label] = torch.arange(self.used, stop, device=images.device)
        self.used = stop

    def _kernel(self, products: Tensor, left: Tensor, right: Tensor) -> Tensor:
        if self.gamma is None:
            return products / WHITE**2
        distances = products.mul_(-2).add_(left).add_(right).clamp_(min=0)
        return distances.mul_(-self.gamma / WHITE**2).exp_()


def _exact_columns(x: Tensor) -> list[slice]:
    """Return the fewest groups of columns within which every product of two rows is a whole number without rounding.

    By Cauchy's inequality no partial sum, in whatever order, is above the longest row's square.
    """
    whole = 2 / torch.finfo(x.dtype).eps
    for count in range(1, x.shape[1] + 1):
        bounds = [x.shape[1] * part // count for part in range(count + 1)]
        groups = [slice(*ends) for ends in itertools.pairwise(bounds)]
        if all(float(x[:, group].double().square().sum(dim=1).max()) <= whole for group in groups):
            break
    return groups
