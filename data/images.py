"""Decoding of image bytes that nobody vouches for."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data.spec import ImageSpec

FORMATS = ("JPEG", "PNG", "WEBP")
"""What is decoded, told by content and never by the file's name. Fewer decoders, fewer ways in."""

MAX_PIXELS = 100_000_000
"""An image that claims more is taken for a decompression bomb and is never decoded."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class DecodeError(Exception):
    """The bytes are no image that can be used; the message says why, the same on every machine."""


def decode(content: bytes, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, str]:
    """Decode a JPEG, PNG or WebP file.

    Args:
        content: its bytes.
        max_pixels: an image that claims more is not decoded.

    Returns:
        The whole image (the first frame of an animation), turned as its EXIF orientation says, in its own
        mode, and its format.

    Raises:
        DecodeError: the bytes are empty, truncated, damaged, too large when decoded, or of another format.
    """
    if not content:
        raise DecodeError("the file is empty")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > max_pixels:  # Pillow itself only warns up to twice its limit.
            raise Image.DecompressionBombError
        name = image.format
        image.load()
        return ImageOps.exif_transpose(image), name
    except UnidentifiedImageError:
        raise DecodeError("not a JPEG, PNG or WebP image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DecodeError(f"decompression bomb: it claims more than {max_pixels:,} pixels") from None
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # A decoder may raise anything on hostile bytes, struct.error and KeyError included.
        raise DecodeError(f"damaged: {str(error) or type(error).__name__}") from None


def to_array(image: Image.Image, spec: ImageSpec) -> np.ndarray:
    """Bring an image to the shape and mode that models take.

    Pillow's ``convert`` to ``L`` or ``RGB``, then ``resize`` with ``BILINEAR`` (which averages over the area
    when it makes an image smaller): the two calls that a client of the exported graph repeats.

    Returns:
        uint8 [H, W, C].
    """
    image = image.convert("L" if spec.channels == 1 else "RGB")
    if image.size != (spec.width, spec.height):
        image = image.resize((spec.width, spec.height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(spec.height, spec.width, spec.channels)
