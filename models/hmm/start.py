"""Where Baum-Welch starts: each row of each image is given one state, and these are counted."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from models.blocks import kmeans
from models.hmm.baum_welch import Chain, Statistics, features

IMAGES = 1000
"""How many images of a class are enough to start from."""
NUMBERS = 2**23
"""Of these images together: of large ones fewer."""


def counts(x: Tensor, num_states: int, topology: str, height: float, generator: Generator) -> Statistics:
    """Return the counts of images ``x`` [T, N, D] whose rows have been given states [T, N].

    Left to right, each state gets as many rows as the next, from top to bottom. Else states are clusters of rows that
    look alike and lie at about the same height, which counts ``height`` from the top to the bottom row.
    """
    num_rows, num_images, _ = x.shape
    if topology == "left_right":
        bands = torch.arange(num_rows, device=x.device) * num_states // num_rows
        states = one_hot(bands, num_states).to(x.dtype)[:, None].expand(-1, num_images, -1)
    else:
        heights = torch.linspace(0, height, num_rows, dtype=x.dtype, device=x.device)
        places = heights[:, None, None].expand(-1, num_images, 1)
        rows = torch.cat([x, places], dim=2).flatten(0, 1)
        states = kmeans.assign(rows, num_states, generator).unflatten(0, (num_rows, num_images))
    flat = states.flatten(0, 1)
    moves = states[:-1].flatten(0, 1).T @ states[1:].flatten(0, 1)
    return Statistics(states[0].sum(dim=0), moves, flat.sum(dim=0), flat.T @ features(x).flatten(0, 1))


def blank(num_states: int, topology: str, like: Tensor) -> Chain:
    """Return a chain that knows no rows yet and only says which transitions ``topology`` allows."""
    ones = like.new_ones(num_states, num_states)
    if topology == "left_right":
        transitions, first = ones.triu() - ones.triu(2), ones[0].clone()
        first[1:] = 0
    else:
        transitions, first = ones, ones[0]
    means = like.new_full((num_states, like.shape[-1]), 0.5)
    transitions = transitions / transitions.sum(dim=1, keepdim=True)
    return Chain(first / first.sum(), transitions, means, torch.ones_like(means))
