"""Pictures as users have them, opened or as the bytes of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.pipelines import postprocess
from data.errors import UserError
from data.fit import Size
from data.frames import Frame
from data.images import DecodeError, decode, flatten, undecoded, upright

_MODES_OF_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def opened(picture: Any) -> Image.Image:
    """Return a picture decoded, turned as its EXIF orientation says.

    Raises:
        UserError: there is no such file, or it is no PNG, JPEG or WebP image that can be used.
    """
    if isinstance(picture, Image.Image):
        return upright(picture)
    if isinstance(picture, np.ndarray):
        return _of_array(picture)
    name = "the picture" if isinstance(picture, bytes) else str(picture)
    try:
        return decode(content(picture))[0]
    except DecodeError as error:
        raise UserError(f"{name}: {error}.") from None


def framed(picture: Any, frame: Frame) -> tuple[np.ndarray, Size]:
    """Return a picture as a model takes it, uint8 [H, W, C], and its width and height as people see it.

    Raises:
        UserError: as :func:`opened`.
    """
    name = str(picture) if isinstance(picture, str | Path) else "the picture"
    try:
        if isinstance(picture, np.ndarray):
            picture = _of_array(picture)
        if isinstance(picture, Image.Image):
            return frame.of_image(picture)
        return frame.read(content(picture))
    except DecodeError as error:
        raise UserError(f"{name}: {error}.") from None


def content(picture: Any) -> bytes:
    """Return a picture as the bytes of an image file: a file's own, or a PNG's.

    Raises:
        UserError: there is no such file, or it is no picture.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Image.Image):
        return undecoded(picture) or postprocess.png(_storable(upright(picture)))
    if isinstance(picture, np.ndarray):
        return postprocess.png(_of_array(picture))
    if not isinstance(picture, str | Path):
        raise UserError(
            f"a picture is a path, bytes, a Pillow image or an array, not {type(picture).__name__}."
        )
    try:
        return Path(picture).read_bytes()
    except OSError as error:
        raise UserError(f"{picture}: cannot be read: {error.strerror}.") from None


def _storable(picture: Image.Image) -> Image.Image:
    """Return a picture in a mode that a PNG keeps as it is."""
    if picture.mode in _MODES_OF_PNG:
        return picture
    try:
        return flatten(picture, "RGB")
    except DecodeError as error:
        raise UserError(f"the picture: {error}.") from None


def _of_array(values: np.ndarray) -> Image.Image:
    grey = values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if grey.dtype != np.uint8 or not (grey.ndim == 2 or (grey.ndim == 3 and grey.shape[2] == 3)):
        raise UserError(
            f"a picture's array is uint8 [H, W] or [H, W, 3], not {values.dtype} {list(values.shape)}."
        )
    return Image.fromarray(grey)
