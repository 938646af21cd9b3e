"""How far back a recurrent network remembers: the gradient of its answer by the distance of the row it is taken at."""

from __future__ import annotations

import numpy as np
import torch

from models.blocks.pixels import unit
from models.rnn.network import RecurrentNetwork


def memory(model: RecurrentNetwork, images_nhwc: np.ndarray) -> np.ndarray:
    """Return float64 [H]: at ``d``, how strongly the answer hangs on the row ``d`` before the last.

    It is the mean norm of the gradient of the most probable class's logit (Bengio et al. 1994): what vanishes in it
    cannot be learned from.

    Args:
        model: the network.
        images_nhwc: uint8 [N, H, W, C].
    """
    device = next(model.parameters()).device
    # cuDNN differentiates a recurrent layer in training mode only.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        rows = model.rows(unit(torch.as_tensor(images_nhwc).to(device))).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(model.read(rows).max(dim=1).values.sum(), rows)
    return gradient.norm(dim=2).mean(dim=0).flip(0).double().cpu().numpy()
