"""The autoencoder: images to latents of a half, a quarter or less of their sides (Rombach et al. 2022, section 3.1)."""

from __future__ import annotations

from torch import Tensor, nn

from data.prepared import DataSpec
from models.blocks.unet import ResidualBlock
from models.text_to_image.config import Config


class Autoencoder(nn.Module):
    """``encode`` gives q(z | x), ``decode`` the image of a latent; images are in [-1, 1].

    The paper's is trained against a discriminator and a perceptual distance as well, which matter where textures do:
    ours has the error of the pixels alone, and the weak pull towards the normal distribution (its "KL-reg").

    Attributes:
        shape: numbers of a place, rows, columns of a latent.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        widths, depth = config.autoencoder_widths, config.autoencoder_depth
        self.size = spec.height, spec.width
        shrunk = 2 ** (len(widths) - 1)
        self.shape = (config.latents, -(-spec.height // shrunk), -(-spec.width // shrunk))
        down: list[nn.Module] = [nn.Conv2d(spec.channels, widths[0], 3, padding=1)]
        for level, width in enumerate(widths):
            if level:
                down.append(nn.Conv2d(widths[level - 1], width, 3, stride=2, padding=1))
            down += [ResidualBlock(width, width, 0) for _ in range(depth)]
        self.encoder = nn.Sequential(*down, nn.SiLU(), nn.Conv2d(widths[-1], 2 * config.latents, 1))
        up: list[nn.Module] = [nn.Conv2d(config.latents, widths[-1], 3, padding=1)]
        for level, width in reversed(list(enumerate(widths))):
            up += [ResidualBlock(width, width, 0) for _ in range(depth)]
            if level:  # wide enough that a place holds its four
                up += [nn.Conv2d(width, 4 * widths[level - 1], 1), nn.PixelShuffle(2)]
        self.decoder = nn.Sequential(*up, nn.SiLU(), nn.Conv2d(widths[0], spec.channels, 3, padding=1))

    def encode(self, x_bchw: Tensor) -> tuple[Tensor, Tensor]:
        """Map [N, C, H, W] to mean and log-variance of q(z | x), [N, Z, h, w] each."""
        mean, log_variance = self.encoder(x_bchw).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def decode(self, z: Tensor) -> Tensor:
        """Map [N, Z, h, w] to images [N, C, H, W], which may leave [-1, 1] a little."""
        height, width = self.size
        return self.decoder(z)[:, :, :height, :width]

    def forward(self, x_bchw: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return an image of a ``z`` drawn by standard normal ``drawn`` [N, Z, h, w], and what ``encode`` gives."""
        mean, log_variance = self.encode(x_bchw)
        return self.decode(mean + (0.5 * log_variance).exp() * drawn), mean, log_variance
