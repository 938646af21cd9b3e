"""Embedder, generator and discriminator (Zakharov et al. 2019, section 3.1)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.errors import UserError
from data.prepared import DataSpec
from models.head.config import Config

SLOPE = 0.2
LEAST_SIDE = 8


def spots(landmarks: Tensor, size: tuple[int, int], sharpness: float) -> Tensor:
    """Paint each of ``landmarks`` [N, L, 2] as a round spot on a picture of its own: [N, L, H, W] in [0, 1].

    Args:
        landmarks: x to the right and y downwards, in [0, 1] of the sides.
        size: H and W.
        sharpness: standard deviation of a spot, as a share of a side.
    """
    centres = [(torch.arange(n, device=landmarks.device) + 0.5) / n for n in size]
    down, right = (
        (axis - landmarks[..., i, None]) / sharpness for axis, i in zip(centres, (1, 0), strict=True)
    )
    return torch.exp(-0.5 * down.square())[..., :, None] * torch.exp(-0.5 * right.square())[..., None, :]


class Embedder(nn.Module):
    """Pictures of somebody to who it is: [N, S, C, H, W] in [0, 1] to [N, E], the mean over the pictures.

    Features are averaged along rows alone: hair, face and shirt lie above each other and must be told apart.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        widths = [spec.channels, *(config.embedder_width * 2**i for i in range(3))]
        layers: list[nn.Module] = []
        for width_in, width in itertools.pairwise(widths):
            layers += [nn.Conv2d(width_in, width, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.project = nn.Linear(widths[-1] * (spec.height // 8), config.embedding)

    def forward(self, shots: Tensor) -> Tensor:
        """Return the embedding."""
        num, each = shots.shape[:2]
        rows = self.layers(2 * shots.flatten(0, 1) - 1).mean(dim=3)
        return self.project(rows.flatten(1)).reshape(num, each, -1).mean(dim=1)


class AdaptiveNorm(nn.Module):
    """Instance normalisation whose scale and shift follow from the embedding (Huang & Belongie 2017, equation 8)."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.style = nn.Linear(embedding, 2 * width)

    def forward(self, x: Tensor, who: Tensor) -> Tensor:
        """Map [N, width, H, W] and the embedding [N, E] to [N, width, H, W]."""
        scale, shift = self.style(who)[..., None, None].chunk(2, dim=1)
        variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=0)
        return (1 + scale) * (x - mean) * torch.rsqrt(variance + 1e-5) + shift


class Block(nn.Module):
    """``x + conv(relu(norm(conv(relu(norm(x))))))``, the norms told who."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(AdaptiveNorm(width, embedding) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, who: Tensor) -> Tensor:
        """Map [N, width, H, W] to the same shape."""
        inner = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            inner = convolution(functional.relu(norm(inner, who)))
        return x + inner


class Painter(nn.Module):
    """The generator: landmarks [N, L, 2] and an embedding [N, E] to faces [N, C, H, W] in [0, 1]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.sharpness = config.sharpness
        self.sizes = [(spec.height // 2**i, spec.width // 2**i) for i in range(3)]
        full, half, quarter = config.widths
        self.enter = nn.Conv2d(spec.num_landmarks, half, 3, padding=1)
        self.down = nn.Conv2d(half, quarter, 3, padding=1)
        self.blocks = nn.ModuleList(Block(quarter, config.embedding) for _ in range(config.blocks))
        self.norms = nn.ModuleList(
            AdaptiveNorm(width, config.embedding) for width in (quarter, 2 * half, full)
        )
        self.ups = nn.ModuleList(
            nn.Conv2d(width_in, width, 3, padding=1)
            for width_in, width in ((quarter, half), (2 * half, full))
        )
        self.refine = nn.Conv2d(full, full, 3, padding=1)
        self.leave = nn.Conv2d(full, spec.channels, 3, padding=1)

    def forward(self, landmarks: Tensor, who: Tensor) -> Tensor:
        """Return the faces."""
        outline = functional.leaky_relu(self.enter(spots(landmarks, self.sizes[1], self.sharpness)), SLOPE)
        x = self.down(functional.avg_pool2d(outline, 2))
        for block in self.blocks:
            x = block(x, who)
        x = functional.interpolate(functional.relu(self.norms[0](x, who)), size=self.sizes[1])
        x = torch.cat([self.ups[0](x), outline], dim=1)
        x = self.ups[1](functional.relu(self.norms[1](x, who)))
        x = functional.interpolate(functional.relu(self.norms[2](x, who)), size=self.sizes[0])
        return torch.sigmoid(self.leave(functional.relu(self.refine(x))))


class Talker(nn.Module):
    """Embedder and painter: what is trained against the discriminator, and used."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.embedder, self.painter = Embedder(config, spec), Painter(config, spec)

    def forward(self, landmarks: Tensor, shots: Tensor) -> Tensor:
        """Map landmarks [N, L, 2] and shots [N, S, C, H, W] in [0, 1] to faces [N, C, H, W] in [0, 1]."""
        return self.painter(landmarks, self.embedder(shots))


class PatchDiscriminator(nn.Module):
    """Whether a picture shows a face with these landmarks, a score for each patch."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        width = config.patch_width
        self.sharpness = config.sharpness
        self.size = (spec.height // 2, spec.width // 2)
        self.look = nn.Conv2d(spec.channels, width, 3, padding=1)
        self.layers = nn.Sequential(
            nn.Conv2d(width + spec.num_landmarks, 2 * width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, x_bchw: Tensor, landmarks: Tensor) -> Tensor:
        """Map faces [N, C, H, W] in [0, 1] and landmarks [N, L, 2] to scores [N, h, w]."""
        seen = functional.leaky_relu(self.look(2 * x_bchw - 1), SLOPE)
        seen = functional.avg_pool2d(seen, 2)
        return self.layers(torch.cat([seen, spots(landmarks, self.size, self.sharpness)], dim=1)).squeeze(1)


class HeadModel(nn.Module):
    """The two players; drawing a face needs the ``generator`` alone."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.generator = Talker(config, spec)
        self.discriminator = PatchDiscriminator(config, spec)


class Reenactor(nn.Module):
    """What is exported: landmarks and pictures of somebody in, a picture of them with those landmarks out."""

    def __init__(self, generator: Talker) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, landmarks: Tensor, shots: Tensor) -> Tensor:
        """Map float32 [N, L, 2] and uint8 [N, S, H, W, C] to uint8 [N, H, W, C]."""
        return to_image(self.generator(landmarks, shots.permute(0, 1, 4, 2, 3).float() / 255))


def to_image(x_bchw: Tensor) -> Tensor:
    """Map [N, C, H, W] in [0, 1] to uint8 [N, H, W, C]."""
    return torch.round(255 * x_bchw.permute(0, 2, 3, 1)).to(torch.uint8)


def build(config: Config, spec: DataSpec) -> HeadModel:
    """Return the networks with random weights.

    Raises:
        UserError: pictures are too small for the embedder, which halves them three times.
    """
    if min(spec.height, spec.width) < LEAST_SIDE:
        size = f"{spec.height} x {spec.width}"
        raise UserError(
            f"data/{spec.name}/dataset.yaml: image: {size}: a head model needs {LEAST_SIDE} pixels a side."
        )
    return HeadModel(config, spec)


def graph(model: HeadModel) -> Reenactor:
    """Return the module to export."""
    return Reenactor(model.generator).eval()
