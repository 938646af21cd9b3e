"""The fitted chains as a model: likelihood of discrete images and class posterior."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from data import at_once
from data.errors import UserError
from data.prepared import DataSpec
from models.blocks.pixels import level, unit
from models.hmm.baum_welch import TOPOLOGIES, Chain, features, log_densities, pixel_normaliser
from models.hmm.config import Config
from models.hmm.strips import cut

CHUNK = 128
"""Images computed on at a time on a CPU at most: what they need fits its caches."""
DEVICE_CHUNK = 64 * CHUNK
"""The same on a GPU, which wants more work at once."""


class HiddenMarkovModels(nn.Module):
    """A chain per class, ready to be evaluated. Buffers, float64, for K classes, S states and D pixels in a strip:

    ``shares`` [K] of the classes, ``start`` [K, S], ``transitions`` [K, S, S], ``means`` and ``variances`` [K, S, D].
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.spec, self.levels = config, spec, spec.levels
        self.dim = math.prod(spec.shape)
        classes, states, width = spec.num_classes, config.states, config.strip * spec.width * spec.channels
        sizes = {"shares": (), "start": (states,), "transitions": (states, states)}
        sizes |= {"means": (states, width), "variances": (states, width)}
        for name, size in sizes.items():
            self.register_buffer(name, torch.ones(classes, *size, dtype=torch.float64))

    @property
    def noise(self) -> float:
        """Variance of a pixel that is spread uniformly over the cell of its level."""
        return 1 / (12 * self.levels**2)

    @property
    def chains(self) -> list[Chain]:
        """The chain of each class."""
        return [
            Chain(*parts)
            for parts in zip(self.start, self.transitions, self.means, self.variances, strict=True)
        ]

    def put(self, label: int, share: float, chain: Chain) -> None:
        """Make ``chain`` the density of class ``label``, which ``share`` of all examples belong to."""
        self.shares[label] = share
        for name in ("start", "transitions", "means", "variances"):
            getattr(self, name)[label] = getattr(chain, name)

    def strips(self, images_nhwc: Tensor) -> Tensor:
        """Return the levels of uint8 [N, H, W, C] as strips, uint8 [T, N, D]."""
        size = at_once.pictures(self.spec.shape, max(1, len(images_nhwc)))
        parts = [level(unit(part), self.levels).to(torch.uint8) for part in images_nhwc.split(size)]
        return cut(torch.cat(parts).permute(0, 2, 3, 1), self.config.strip)

    def chunks(self, strips: Tensor) -> Iterator[Tensor]:
        """Yield the middles of the pixels' cells, float64 [T, n, D] in (0, 1), some images at a time."""
        for part in strips.split(self.chunk_size(strips.device), dim=1):
            yield self.middles(part)

    def chunk_size(self, device: torch.device) -> int:
        """Return how many images are computed on at a time."""
        return at_once.pictures(self.spec.shape, CHUNK) if device.type == "cpu" else DEVICE_CHUNK

    def middles(self, strips: Tensor) -> Tensor:
        """Return the middles of the cells of the levels ``strips``, in the model's precision."""
        return (strips.to(self.means.dtype) + 0.5) / self.levels

    def log_joint(self, strips: Tensor) -> Tensor:
        """Map levels [T, N, D] to ``log p(levels, class)`` float64 [N, K], in nats, a lower bound.

        The probability of an image on its discrete levels is the density's mean over the cells; the mean of its
        logarithm is below it (Theis et al. 2016). That mean is taken in closed form inside each path of states,
        where it is below the mean of the sum's logarithm, as log-sum-exp is convex. So nothing needs to be drawn.
        """
        forward, parts = TOPOLOGIES[self.config.topology].forward, []
        for x in self.chunks(strips):
            both = features(x)
            by_class = [
                forward(log_densities(both, chain, self.noise), chain.start[None], chain.transitions)
                for chain in self.chains
            ]
            parts.append(torch.stack(by_class, dim=1))
        return torch.cat(parts) + self.shares.log() - self.dim * math.log(self.levels)

    def forward(self, images_nhwc: Tensor) -> Tensor:
        """Map uint8 [N, H, W, C] to :meth:`log_joint` [N, K]."""
        return self.log_joint(self.strips(images_nhwc))


class Graph(nn.Module):
    """What is exported: uint8 images in, log-likelihood and class posterior out, in float32, all classes at once.

    Only the densities are float64: multiplied out to one matrix product, as in
    :func:`models.hmm.baum_welch.log_densities`, they are differences of terms too large for float32.
    """

    def __init__(self, model: HiddenMarkovModels) -> None:
        super().__init__()
        self.levels, self.strip = model.levels, model.config.strip
        self.forward_pass = TOPOLOGIES[model.config.topology].forward
        precisions = model.variances.reciprocal()
        offsets = pixel_normaliser(model.means.square() * precisions, model.variances, model.noise)
        weights = torch.cat([model.means * precisions, -0.5 * precisions], dim=2)
        base = model.shares.log() - model.dim * math.log(model.levels)
        self.register_buffer("weights", weights.flatten(0, 1).T.contiguous())  # [2 D, K S]
        self.register_buffer("constants", -0.5 * offsets.sum(dim=2).flatten())
        for name, value in {
            "start": model.start[:, None],
            "transitions": model.transitions,
            "base": base,
        }.items():
            self.register_buffer(name, value.float())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 [N, H, W, C] to log-likelihood [N] (nats, on the levels) and posterior [N, K]."""
        x = (level(unit(image), self.levels).double() + 0.5) / self.levels
        both = features(cut(x.permute(0, 2, 3, 1), self.strip))
        densities = (both @ self.weights + self.constants).float()  # [T, N, K S]
        by_class = densities.unflatten(2, (len(self.start), -1)).transpose(1, 2)
        joint = self.forward_pass(by_class, self.start, self.transitions).T + self.base
        return joint.logsumexp(dim=1), joint.softmax(dim=1)


def build(config: Config, spec: DataSpec) -> HiddenMarkovModels:
    """Return the model, empty.

    Raises:
        UserError: the images cannot be cut into strips, or a ``left_right`` chain has more states than strips.
    """
    num_strips, rest = divmod(spec.height, config.strip)
    if rest or not num_strips:
        fitting = [size for size in range(1, spec.height + 1) if spec.height % size == 0]
        nearest = min(fitting, key=lambda size: abs(size - config.strip))
        raise UserError(
            f"hmm: strip: {config.strip} rows do not divide the {spec.height} rows of an image of {spec.name}. "
            f"Did you mean {nearest}? Possible are {', '.join(map(str, fitting))}."
        )
    if config.topology == "left_right" and config.states > num_strips:
        raise UserError(
            f"hmm: states: {config.states} is more than the {num_strips} strips of an image of {spec.name}, and a "
            f"left_right chain enters at most one state at each. Use at most {num_strips}, or topology: ergodic."
        )
    return HiddenMarkovModels(config, spec)


def graph(model: HiddenMarkovModels) -> Graph:
    """Return the module to export."""
    return Graph(model).eval()


@torch.no_grad()
def log_likelihood(model: HiddenMarkovModels, images_nhwc: np.ndarray, seed: int) -> np.ndarray:
    """Return nats per image, float64 [N], of uint8 [N, H, W, C] on the levels: a lower bound, see ``log_joint``.

    It is in closed form: ``seed`` changes nothing.
    """
    images = torch.as_tensor(images_nhwc).to(model.means.device)
    return model(images).logsumexp(dim=1).cpu().numpy()
