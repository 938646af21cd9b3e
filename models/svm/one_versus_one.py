"""One versus one, a classifier for every two classes (Knerr, Personnaz & Dreyfus 1990): on which images."""

from __future__ import annotations

import torch
from torch import Tensor


class Classifiers:
    """The K (K - 1) / 2 classifiers, in scikit-learn's order, and the training images of each.

    A *place* is a column of a classifier's vectors: ``half * L + position``, the ``position``-th training image of its
    first class (half 0) or of its second (half 1). All halves are as long as the largest class; the rest is padding.

    Attributes:
        classes: int64 [P, 2], the two classes of each classifier.
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

    def images(self, classifiers: Tensor, places: Tensor) -> Tensor:
        """Return which training images stand at ``places`` [A, Q] of ``classifiers`` [A]: int64 [A, Q]."""
        classes = self.classes[classifiers].gather(1, places // self.length)
        return self.members[classes, places % self.length]

    def by_image(self, values: Tensor, num_images: int) -> Tensor:
        """Return ``values`` [P, 2 L] as [N, K]: of each training image, in its classifier against each class."""
        table = values.new_zeros(num_images, len(self.counts))
        for classifier, (first, second) in enumerate(self.classes.tolist()):
            for half, own, other in ((0, first, second), (1, second, first)):
                count = int(self.counts[own])
                start = half * self.length
                table[self.members[own, :count], other] = values[classifier, start : start + count]
        return table
