"""One class against one other, for every two of them (Knerr, Personnaz & Dreyfus 1990): who takes part in each duel."""

from __future__ import annotations

import torch
from torch import Tensor


class Duels:
    """The K (K - 1) / 2 duels, in scikit-learn's order, and the training images that each is fought over.

    A *place* is a column of a duel's vectors: ``half * L + position``, the ``position``-th training image of the first
    class (half 0) or of the second (half 1). All halves are as long as the largest class; the rest is padding.

    Attributes:
        classes: int64 [P, 2], the two classes of each duel.
        members: int64 [K, L], the training images of each class, padded with image 0.
        counts: int64 [K], how many they are.
        signs: float64 [P, 2 L]: 1 for places of the first class, -1 of the second, 0 for padding.
    """

    def __init__(self, labels: Tensor, num_classes: int) -> None:
        """Sort the training images, whose ``labels`` are int64 [N] in ``0 .. num_classes - 1``, by class."""
        self.classes = torch.combinations(torch.arange(num_classes, device=labels.device))
        self.counts = labels.bincount(minlength=num_classes)
        self.length = int(self.counts.max())
        self.members = labels.new_zeros(num_classes, self.length)
        for label in range(num_classes):
            own = (labels == label).nonzero()[:, 0]
            self.members[label, : len(own)] = own
        real = torch.arange(self.length, device=labels.device) < self.counts[:, None]
        first, second = (real[self.classes[:, half]].double() for half in (0, 1))
        self.signs = torch.cat([first, -second], dim=1)

    def images(self, duels: Tensor, places: Tensor) -> Tensor:
        """Return which training images stand at ``places`` [A, Q] of ``duels`` [A]: int64 [A, Q]."""
        classes = self.classes[duels].gather(1, places // self.length)
        return self.members[classes, places % self.length]

    def by_image(self, values: Tensor, num_images: int) -> Tensor:
        """Return ``values`` [P, 2 L] as [N, K]: of each training image, in its duel against each class."""
        table = values.new_zeros(num_images, len(self.counts))
        for duel, (first, second) in enumerate(self.classes.tolist()):
            for half, own, other in ((0, first, second), (1, second, first)):
                count = int(self.counts[own])
                start = half * self.length
                table[self.members[own, :count], other] = values[duel, start : start + count]
        return table
