"""The mean over a held-out split: every image once, the same noise each time."""

from __future__ import annotations

import pytest
import torch

from models.blocks import held_out
from models.blocks.batches import Batches


@pytest.mark.parametrize("chunk", [7, 512])
def test_every_image_counts_once_with_noise_and_place_of_its_own(digits, chunk):
    split = Batches(digits.validation, torch.device("cpu"))
    seen: list[tuple[torch.Tensor, ...]] = []

    def losses(*given):
        seen.append(given)
        return given[1].float()

    assert held_out.mean(split, 5, losses, chunk) == pytest.approx(digits.validation.labels.mean())
    images, labels, drawn, places = (torch.cat(parts) for parts in zip(*seen, strict=True))
    assert images.shape == (80, 1, 8, 8) and images.max() == 1
    assert labels.tolist() == digits.validation.labels.tolist()
    assert places.tolist() == list(range(80))
    assert drawn.shape == (80, 5) and len(drawn.unique(dim=0)) == 80


def test_the_noise_is_the_same_each_time_and_of_any_chunks(digits):
    split = Batches(digits.validation, torch.device("cpu"))
    means = [
        held_out.mean(split, 5, lambda x, y, drawn, place: drawn.sum(dim=1), chunk) for chunk in (9, 9, 80)
    ]
    assert means[0] == means[1] == pytest.approx(means[2])
