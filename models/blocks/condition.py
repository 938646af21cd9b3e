"""Which class a generator is asked for: the third input of a conditional generation graph."""

from __future__ import annotations

import torch
from torch import Tensor


def asked(label: Tensor, count: int, num_classes: int) -> Tensor:
    """Return the class of each image, int64 [count].

    ``label`` int64 [1] is one class for all, or -1 for every class in turn: image ``i`` is then of class
    ``i mod num_classes``, so that it does not depend on ``count``.
    """
    in_turn = torch.arange(count, device=label.device) % num_classes
    return torch.where(label < 0, in_turn, label)
