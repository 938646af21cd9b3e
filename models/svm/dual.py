"""The hinge loss in the dual, exactly: all one-versus-one classifiers side by side, a working set of each at a time.

Of each classifier that is not solved, the images that violate the conditions of the optimum most are solved for with
all others held (Joachims 1998; Wen et al. 2018, "ThunderSVM"). The kernel rows of all working sets are a few large
products of matrices; what remains for single steps are small problems (:mod:`models.svm.smo`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.svm import smo
from models.svm.rows import Rows

WORKING = 256
"""Images of a classifier that are solved for at a time."""
PAIRS = 250
"""Greatest number of pairs of them that are improved before others are chosen."""
SHARE = 0.2
"""They are solved until they violate the conditions of the optimum by this share of what the whole classifier does."""


class Solver:
    """Maximises ``sum(y_i beta_i) - 0.5 * |sum(beta_i phi(x_i))|^2`` for each classifier, ``0 <= y_i beta_i <= cost``.

    ``y`` is 1 for the images of its first class and -1 for those of its second, and ``sum(beta_i) = 0``: the
    bias is not penalised. ``beta``, as precise as the rows, and ``slope``, float64, ``y - f`` without the bias, are
    [P, 2 L]; see :class:`models.svm.one_versus_one.Classifiers` for their columns.

    Args:
        rows: of the kernel.
        cost: C.
        tolerance: a classifier is solved when no pair violates the conditions of the optimum by more (Keerthi et al.
            2001).
        start: the solver of at most this cost from whose solution to go on; None for zeros.
    """

    def __init__(self, rows: Rows, cost: float, tolerance: float, start: Solver | None = None) -> None:
        self.rows, self.classifiers, self.tolerance = rows, rows.classifiers, tolerance
        signs = self.classifiers.signs.to(rows.pool.dtype)
        self.low, self.high = signs.clamp(max=0) * cost, signs.clamp(min=0) * cost
        self.beta = torch.zeros_like(signs) if start is None else start.beta.clone()
        self.slope = self.classifiers.signs.clone() if start is None else start.slope.clone()
        self.stays = torch.zeros_like(signs, dtype=torch.bool)
        self._look()

    @property
    def loss(self) -> float:
        """The hinge, summed over the classifiers, mean over the images."""
        slack = self.classifiers.signs * (self.slope - self.bias()[:, None])
        return float(slack.clamp(min=0).sum() / len(self.rows.x))

    @property
    def violation(self) -> float:
        """How much the worst pair of any classifier violates the conditions of the optimum."""
        return float(self.gaps.max())

    def step(self) -> bool:
        """Solve for a working set of each classifier that is not solved; say whether anything moved."""
        classifiers = (self.gaps > self.tolerance).nonzero()[:, 0][: self.rows.classifiers_at_once(WORKING)]
        places = self._choose(classifiers)
        slots = self.rows.slots(classifiers, places)
        dtype = self.rows.pool.dtype
        everything = (self.beta, self.slope, self.low, self.high)
        parts = [values[classifiers].gather(1, places).to(dtype) for values in everything]
        limit = (SHARE * self.gaps[classifiers]).clamp(min=self.tolerance / 2)
        beta = smo.solve(self.rows.among(slots, places), *parts, limit, PAIRS)
        change = beta - parts[0]
        self.beta[classifiers[:, None], places] = beta
        self.slope[classifiers] -= self.rows.combine(slots, change)
        self._look()
        return bool(change.any())

    def bias(self) -> Tensor:
        """Return what puts the free support vectors on the margin: [P]; the middle of its bounds where none is free.

        A class without images loses by a margin in each of its classifiers.
        """
        free = (self.beta > self.low) & (self.beta < self.high)
        count = free.sum(dim=1)
        mean = (self.slope * free).sum(dim=1) / count.clamp(min=1)
        top, bottom = self.upper.amax(dim=1), self.lower.amin(dim=1)
        middle = (torch.where(top.isinf(), bottom, top) + torch.where(bottom.isinf(), top, bottom)) / 2
        return torch.where(count > 0, mean, middle.nan_to_num(0.0))

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes."""
        return {"beta": self.beta, "slope": self.slope, "stays": self.stays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        device = self.beta.device
        self.beta, self.slope, self.stays = (state[name].to(device) for name in ("beta", "slope", "stays"))
        self._look()

    def _look(self) -> None:
        """See where ``beta`` may grow: there ``upper`` is the slope, else -inf; ``lower``: where it may shrink."""
        self.upper = torch.where(self.beta < self.high, self.slope, -torch.inf)
        self.lower = torch.where(self.beta > self.low, self.slope, torch.inf)
        self.gaps = self.upper.amax(dim=1) - self.lower.amin(dim=1)

    def _choose(self, classifiers: Tensor) -> Tensor:
        """Return the places [A, Q] of each classifier that most want to grow and to shrink, in turn.

        Half of them stay for one more step: what moves them next is often what came in with them.
        """
        ranks = [
            values[classifiers].argsort(dim=1, descending=way, stable=True).argsort(dim=1)
            for values, way in ((self.upper, True), (self.lower, False))
        ]
        first = torch.minimum(*ranks).masked_fill(self.stays[classifiers], -1)
        places = first.argsort(dim=1, stable=True)[:, :WORKING]
        self.stays[classifiers] = False
        self.stays[classifiers[:, None], places[:, WORKING // 2 :]] = True
        return places
