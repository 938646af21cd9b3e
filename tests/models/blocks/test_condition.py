"""The class that is asked for: one for all, or every one in turn."""

from __future__ import annotations

import pytest
import torch

from models.blocks.condition import asked


@pytest.mark.parametrize(("label", "expected"), [(-1, [0, 1, 2, 0, 1, 2, 0]), (2, [2] * 7), (0, [0] * 7)])
def test_labels(label, expected):
    for count in (0, 3, 7):
        labels = asked(torch.tensor([label]), count, 3)
        assert labels.dtype == torch.int64 and labels.tolist() == expected[:count]
