"""A Hugging Face image processor as a part of the network: resize, crop, rescale, normalise, in exportable arithmetic.

Resizing is linear in rows and in columns and both sizes are known, so it is two products with constant matrices. They
are PyTorch's own: what its antialiased interpolation does to an identity. The processor works on uint8, in fixed-point
arithmetic; so do we: weights of 15 bits and levels of 8 have exact products in float32, and each pass ends on a level.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from data.errors import UserError
from data.prepared import DataSpec

BILINEAR, BICUBIC = 2, 3
MODES = {BILINEAR: "bilinear", BICUBIC: "bicubic"}
"""Pillow's numbers of filters, and PyTorch's names of those that it has."""


class Processor(nn.Module):
    """Images [N, C, H, W] in [0, 1] to what the base reads, [N, ``channels``, H', W']; grey is repeated."""

    def __init__(self, settings: dict[str, Any], spec: DataSpec, channels: int) -> None:
        """Take the processor's ``settings`` as transformers writes them.

        Raises:
            UserError: the base reads other channels than the data set has, or the processor resizes by a filter that
                PyTorch lacks.
        """
        super().__init__()
        if spec.channels not in (1, channels):
            raise UserError(
                f"base: it reads images of {channels} channel, those of {spec.name!r} have {spec.channels}."
                f" Take a base with num_channels {spec.channels} in its config.json."
            )
        self.channels = channels
        height, width = _size(settings, spec)
        crop = settings.get("crop_size") if settings.get("do_center_crop") else None
        crop = crop or {"height": height, "width": width}
        resample = settings.get("resample", BILINEAR)
        rescale = settings["rescale_factor"] if settings.get("do_rescale") else 1.0
        normalise = settings.get("do_normalize")
        mean, std = (settings["image_mean"], settings["image_std"]) if normalise else (0.0, 1.0)
        shape = (1, -1, 1, 1)
        constants = {
            "rows": _pass(spec.height, height, crop["height"], resample),
            "columns": _pass(spec.width, width, crop["width"], resample),
            "mean": torch.tensor(mean).reshape(shape) / rescale,
            "std": torch.tensor(std).reshape(shape) / rescale,
        }
        for name, value in constants.items():  # all from settings, so no part of the weights
            self.register_buffer(name, value, persistent=False)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the ``pixel_values`` that the processor would give for these images."""
        levels = torch.round(255 * x_bchw)
        if self.columns is not None:
            levels = _levels(levels @ self.columns.T)
        if self.rows is not None:
            levels = _levels(self.rows @ levels)
        return ((levels - self.mean) / self.std).expand(-1, self.channels, -1, -1)


def _levels(values: Tensor) -> Tensor:
    """Round halves up, as fixed-point arithmetic does, and stay within 0 .. 255."""
    return torch.floor(values + 0.5).clamp(0, 255)


def _size(settings: dict[str, Any], spec: DataSpec) -> tuple[int, int]:
    """Return the height and width after resizing."""
    if not settings.get("do_resize"):
        return spec.height, spec.width
    size = settings["size"]
    if "shortest_edge" in size and "longest_edge" not in size:
        short = min(spec.height, spec.width)
        return tuple(int(size["shortest_edge"] * side / short) for side in (spec.height, spec.width))
    if "height" in size and "width" in size:
        return size["height"], size["width"]
    raise UserError(f"base: its image processor's size {size} is neither height and width nor shortest_edge.")


def _pass(side: int, resized: int, cropped: int, resample: int) -> Tensor | None:
    """Return the matrix [cropped, side] of one axis, or None where nothing changes.

    Raises:
        UserError: the filter is not PyTorch's, or the crop is larger than what it is cut from.
    """
    if cropped > resized:
        raise UserError(f"base: its image processor crops to {cropped} pixels what has only {resized}.")
    if cropped == resized == side:
        return None
    matrix = torch.eye(side, device="cpu")  # numbers that are read here, wherever the network is built
    if resized != side:
        if resample not in MODES:
            raise UserError(
                f"base: its image processor resizes with filter {resample}; it can be 2 (bilinear) or 3 (bicubic)."
            )
        image = matrix[None, None]
        matrix = functional.interpolate(image, (resized, side), mode=MODES[resample], antialias=True)[0, 0]
        matrix = _fixed_point(matrix)
    start = (resized - cropped) // 2
    return matrix[start : start + cropped]


def _fixed_point(weights: Tensor) -> Tensor:
    """Round ``weights`` to the 16-bit integers over a power of two that PyTorch's kernel for uint8 holds."""
    largest = float(weights.max())
    bits = max(bits for bits in range(22) if int(largest * 2**bits + 0.5) < 2**15)
    return weights.sign() * torch.floor(weights.abs() * 2**bits + 0.5) / 2**bits
