"""Augmentations move, mirror and blank; they never invent a pixel."""

from __future__ import annotations

import pytest
import torch

from models.blocks import augment


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def x_bchw():
    return torch.rand(64, 3, 9, 7, generator=torch.Generator().manual_seed(1)) + 0.1


def test_shift_moves_whole_images_by_every_offset(x_bchw, generator):
    moved = augment.shift(x_bchw, 1, generator)
    padded = torch.nn.functional.pad(x_bchw, (1,) * 4)
    seen = set()
    for before, after in zip(padded, moved, strict=True):
        offsets = [
            (r, c) for r in range(3) for c in range(3) if torch.equal(before[:, r : r + 9, c : c + 7], after)
        ]
        assert len(offsets) == 1
        seen.update(offsets)
    assert len(seen) == 9


def test_shift_by_nothing_draws_nothing(x_bchw, generator):
    before = generator.get_state()
    assert augment.shift(x_bchw, 0, generator) is x_bchw
    assert torch.equal(generator.get_state(), before)


def test_flip_mirrors_about_half(x_bchw, generator):
    flipped = augment.flip(x_bchw, generator)
    mirrored = [torch.equal(a.flip(2), b) for a, b in zip(x_bchw, flipped, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(x_bchw, flipped, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48


def test_cutout_blanks_one_square_at_most_of_its_size(x_bchw, generator):
    cut = augment.cutout(x_bchw, 4, generator)
    for before, after in zip(x_bchw, cut, strict=True):
        blank = (after == 0).all(dim=0)
        rows, columns = blank.any(dim=1).nonzero(), blank.any(dim=0).nonzero()
        height, width = len(rows), len(columns)
        assert 1 <= height <= 4
        assert 1 <= width <= 4
        assert int(blank.sum()) == height * width
        assert torch.equal(after[:, ~blank], before[:, ~blank])


@pytest.mark.parametrize(
    "change", [lambda x, g: augment.shift(x, 2, g), augment.flip, lambda x, g: augment.cutout(x, 3, g)]
)
def test_the_same_generator_gives_the_same_change(change, x_bchw):
    once, again = (change(x_bchw, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(once, again)


def test_stretch_takes_pixels_as_they_are_and_the_same_of_every_channel():
    x = torch.arange(20 * 12 * 10.0).reshape(20, 1, 12, 10)
    changed = augment.stretch(torch.cat([x, -x], dim=1), 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(changed[:, 0], -changed[:, 1])
    for before, after in zip(x[:, 0], changed[:, 0], strict=True):
        assert set(after.unique().tolist()) <= set(before.unique().tolist())
        assert (after.diff(dim=0) >= 0).all() and (after.diff(dim=1) >= 0).all(), (
            "rows and columns keep their order"
        )
    assert augment.stretch(x, 0.0, torch.Generator()) is x


def test_stretch_makes_larger_and_smaller_and_keeps_the_middle_on_the_whole():
    x = torch.zeros(2000, 1, 20, 20)
    x[:, :, 5:15, 5:15] = 1
    changed = augment.stretch(x, 0.2, torch.Generator().manual_seed(0))[:, 0]
    rows = changed.amax(dim=2).sum(dim=1)
    assert rows.min() == 8 and rows.max() in (12, 13)  # of 8.2 to 12.2 rows
    middle = (changed.sum(dim=2) * (torch.arange(20) + 0.5)).sum(dim=1) / changed.sum(dim=(1, 2))
    assert abs(middle.mean() - 10) < 0.1 and middle.std() > 0.5
