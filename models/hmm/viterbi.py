"""The most likely states of each image (Viterbi 1967), in logarithms, for either topology."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data import at_once
from models.hmm.baum_welch import features, log_densities
from models.hmm.density import CHUNK, HiddenMarkovModels


@torch.no_grad()
def decode(model: HiddenMarkovModels, images_nhwc: np.ndarray, label: int) -> np.ndarray:
    """Return the most likely state of each strip, int64 [N, T], of uint8 [N, H, W, C] by class ``label``'s chain."""
    chain = model.chains[label]
    strips = model.strips(torch.as_tensor(images_nhwc).to(model.means.device))
    paths = []
    for part in strips.split(at_once.pictures(model.spec.shape, CHUNK), dim=1):
        densities = log_densities(features(model.middles(part)), chain, model.noise)
        paths.append(best_paths(densities, chain.start, chain.transitions)[1].T)
    return torch.cat(paths).cpu().numpy()


def best_paths(log_densities: Tensor, start: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-probabilities [N] of the best paths with their rows, and those paths, int64 [T, N].

    Args:
        log_densities: of each row in each state, [T, N, S].
        start: probabilities of the first state, [S].
        transitions: probabilities of the next state (column) after each (row), [S, S].
    """
    best = start.log() + log_densities[0]
    came_from = []
    for densities in log_densities[1:]:
        best, origin = (best[:, :, None] + transitions.log()).max(dim=1)
        best = best + densities
        came_from.append(origin)
    total, state = best.max(dim=1)
    path = [state]
    for origin in reversed(came_from):
        path.append(origin.gather(1, path[-1][:, None])[:, 0])
    return total, torch.stack(path[::-1])
