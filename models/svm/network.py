"""The decision function and its calibrated probabilities."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from data.prepared import DataSpec
from models.svm.config import Config
from models.svm.kernel import WHITE, rbf


class SupportVectorMachine(nn.Module):
    """``f(x) = k(x, landmarks) @ coefficients + bias``. Buffers, for D pixels, M landmarks and K classes:

    ``centre`` [D], whole grey levels; ``landmarks`` uint8 [M, D], none for the linear kernel; ``coefficients`` [M, K],
    or [D, K] for the linear kernel; ``bias`` [K]; ``gamma`` and ``temperature``, one number each. Float64.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        dim, classes = math.prod(spec.shape), spec.num_classes
        width = dim if config.kernel == "linear" else 0
        self.register_buffer("centre", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("landmarks", torch.zeros(0, dim, dtype=torch.uint8))
        self.register_buffer("coefficients", torch.zeros(width, classes, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("gamma", torch.ones((), dtype=torch.float64))
        self.register_buffer("temperature", torch.ones((), dtype=torch.float64))

    def forward(self, images_nhwc: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to decision values [N, K], in the precision of the coefficients.

        The precision of the centre is that of the distances.
        """
        whole, precise = self.centre.dtype, self.coefficients.dtype
        x = images_nhwc.flatten(1).to(whole) - self.centre
        if self.config.kernel == "linear":
            features = x.to(precise) / WHITE
        else:
            features = rbf(x, self.landmarks.to(whole) - self.centre, self.gamma, precise)
        return features @ self.coefficients + self.bias

    def put(
        self,
        centre: Tensor,
        coefficients: Tensor,
        bias: Tensor,
        landmarks: Tensor | None,
        gamma: float,
        temperature: float,
    ) -> None:
        """Become the machine with these parts; see the class."""
        self.centre.copy_(centre)
        self.bias.copy_(bias)
        self.coefficients = coefficients.to(self.bias.dtype)
        if landmarks is not None:
            self.landmarks = landmarks
        self.gamma.fill_(gamma)
        self.temperature.fill_(temperature)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        # How many landmarks there are follows from the training data, not from the settings.
        for name in ("landmarks", "coefficients"):
            stored = state_dict.get(prefix + name)
            if stored is not None:
                setattr(self, name, getattr(self, name).new_empty(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Graph(nn.Module):
    """What is exported: uint8 images in, class probabilities out, in float32.

    So are the distances, which are whole numbers and most of the work. The rest is float64: thousands of large
    coefficients of either sign cancel to a decision near 0, where float32 is off in the fourth digit.
    """

    def __init__(self, model: SupportVectorMachine) -> None:
        super().__init__()
        self.machine = copy.deepcopy(model)
        self.machine.centre = model.centre.float()

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to class probabilities float32 [N, K]."""
        return (self.machine(image) / self.machine.temperature).softmax(dim=1).float()


def build(config: Config, spec: DataSpec) -> SupportVectorMachine:
    """Return the machine without landmarks: it decides nothing yet."""
    return SupportVectorMachine(config, spec)


def graph(model: SupportVectorMachine) -> Graph:
    """Return the module to export."""
    return Graph(model).eval()
