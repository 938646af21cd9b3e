"""Walks on spheres: they end where they should, keep their length, and turn evenly."""

from __future__ import annotations

import torch

from models.blocks.interpolation import spherical


def test_a_quarter_circle():
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    angles = torch.linspace(0, torch.pi / 2, 7)
    expected = 2 * torch.stack([angles.cos(), angles.sin()], dim=1)
    torch.testing.assert_close(spherical(start, end, 7)[0], expected, atol=1e-5, rtol=0)


def test_ends_and_lengths():
    generator = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 20, 64, generator=generator)
    walk = spherical(start, end, 9)
    torch.testing.assert_close(walk[:, 0], start)
    torch.testing.assert_close(walk[:, -1], end)
    lengths = walk.norm(dim=2)
    shortest, longest = (f(start.norm(dim=1), end.norm(dim=1)) for f in (torch.minimum, torch.maximum))
    assert (lengths > 0.95 * shortest[:, None]).all() and (lengths < 1.05 * longest[:, None]).all()


def test_equal_ends_stay_where_they_are():
    start = torch.ones(1, 3)
    torch.testing.assert_close(spherical(start, start, 3), torch.ones(1, 3, 3), rtol=1e-3, atol=0)
