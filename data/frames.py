"""The one way from a picture to the pixels that models take, for training, measuring, serving and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from data import fit
from data.fit import Fit, Size
from data.images import JPEG, MAX_PIXELS, WHITE, Colour, flatten, is_on_its_side, opening, undecoded, upright


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What is made of a picture; ``docs/examples/read_bundle.py`` repeats it with Pillow alone.

    Attributes:
        height: rows, in pixels.
        width: columns, in pixels.
        channels: 1 (grey) or 3 (RGB).
        ground: what transparent pictures are laid on, and what is beside one that is padded.
        fit: what becomes of its aspect.
        reduced: a JPEG of at least twice the size is decoded at a half, a quarter or an eighth of its scale, whatever
            suffices, which is several times as fast; its pixels are others than those of the whole picture made
            smaller.
        resample: Pillow's filter.
    """

    height: int
    width: int
    channels: int
    ground: Colour = WHITE
    fit: Fit = "stretch"
    reduced: bool = False
    resample: Image.Resampling = Image.Resampling.BILINEAR

    @classmethod
    def of(cls, how: Mapping[str, Any]) -> Frame:
        """Return what ``image`` of a bundle's description says."""
        return cls(
            height=how["height"],
            width=how["width"],
            channels=how["channels"],
            ground=tuple(how.get("ground", WHITE)),
            fit=how.get("fit", "stretch"),
            reduced=how.get("reduced", False),
            resample=Image.Resampling[how["resample"]],
        )

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.width, self.height

    @property
    def _mode(self) -> str:
        return "L" if self.channels == 1 else "RGB"

    @cached_property
    def _beside(self) -> tuple[int, ...] | float:
        """The ground in the picture's mode."""
        return Image.new("RGB", (1, 1), self.ground).convert(self._mode).getpixel((0, 0))

    def read(self, content: bytes, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, Size]:
        """Decode the bytes of an image file.

        Returns:
            uint8 [H, W, C], and the width and height of the whole picture as people see it.

        Raises:
            DecodeError: as :func:`data.images.decode`.
        """
        with opening(content, max_pixels) as image:
            stored, on_its_side = image.size, is_on_its_side(image)
            size = stored[::-1] if on_its_side else stored
            if self.reduced and image.format in JPEG:
                least = fit.whole(self.fit, size, self.size)
                image.draft(None, least[::-1] if on_its_side else least)
            is_reduced = image.size != stored
            image = upright(image)
            return self._lay(image, size if is_reduced else image.size)

    def of_image(self, image: Image.Image) -> tuple[np.ndarray, Size]:
        """Return the same of a picture that somebody opened; one that is decoded is taken as it is.

        Raises:
            DecodeError: as :func:`data.images.decode`.
        """
        content = undecoded(image) if self.reduced else None
        if content is not None:
            return self.read(content)
        image = upright(image)
        return self._lay(image, image.size)

    def _lay(self, image: Image.Image, size: Size) -> tuple[np.ndarray, Size]:
        image = flatten(image, self._mode, self.ground)
        laid = fit.lay(image, self.fit, size, self.size, self._beside, self.resample)
        return np.asarray(laid).reshape(self.height, self.width, self.channels), size
