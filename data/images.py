"""From image bytes that nobody vouches for to the pixels that models take: the one way there, for all who go it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

JPEG = ("JPEG", "MPO")
"""What Pillow calls a JPEG, and a phone's with a second picture behind the first."""

FORMATS = ("JPEG", "PNG", "WEBP")
"""What is decoded, told by content and never by the file's name. Fewer decoders, fewer ways in."""

MAX_PIXELS = 100_000_000
"""An image that claims more is taken for a decompression bomb and is never decoded."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS

Colour = tuple[int, int, int]
"""Red, green and blue, in [0, 255]."""

WHITE: Colour = (255, 255, 255)
"""The ground that transparent pictures are laid on unless a data set says otherwise."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture of each EXIF orientation upright; 1 is upright."""

_ON_THEIR_SIDE = tuple(_TURNS[orientation] for orientation in (5, 6, 7, 8))

_TELL_ORIENTATION = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
"""Where Pillow keeps what it reads an orientation from."""


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
    with opening(content, max_pixels) as image:
        name = "JPEG" if image.format in JPEG else image.format
        image.load()
        return upright(image), name


@contextmanager
def opening(content: bytes, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Yield the picture of a JPEG, PNG or WebP file, not decoded yet: :func:`decode` says what may go wrong.

    Raises:
        DecodeError: as :func:`decode`, also where the block decodes.
    """
    if not content:
        raise DecodeError("the file is empty")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > max_pixels:  # Pillow itself only warns up to twice its limit.
            raise Image.DecompressionBombError
        yield image
    except DecodeError:
        raise
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


def undecoded(image: Image.Image) -> bytes | None:
    """Return the file of a JPEG that somebody opened and did not decode yet; None of any other picture."""
    file = getattr(image, "fp", None)
    if image.format not in JPEG or file is None:
        return None
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    return content


def upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation says; one with a broken EXIF block, or none, stays as it lies.

    What is returned tells no orientation any more, so that nobody turns it again.
    """
    turn = _turn(image)
    if turn is None:
        return image
    turned = image.transpose(turn)
    for key in _TELL_ORIENTATION:
        turned.info.pop(key, None)
    return turned


def is_on_its_side(image: Image.Image) -> bool:
    """Return whether upright its width is its height: of a JPEG it is known before it is decoded."""
    return _turn(image) in _ON_THEIR_SIDE


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # Pillow raises anything on hostile EXIF, SyntaxError and struct.error included.
        return None


def flatten(image: Image.Image, mode: str, ground: Colour = WHITE) -> Image.Image:
    """Bring a picture of any mode to ``L`` or ``RGB``: scaled to 8 bits, and what is transparent laid on ``ground``.

    Of 16 bits the upper 8 are kept, which is what Pillow does with 16-bit RGB. (Its ``convert`` of 16-bit grey takes
    all above 255 for white.)

    Raises:
        DecodeError: the pixels are floating point numbers, or whole ones beyond 16 bits: nobody says which is white.
    """
    if image.mode.startswith(("I", "F")):
        image = _of_8_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB")
    if image.mode == mode:
        return image  # Pillow would copy it
    try:
        return image.convert(mode)
    except ValueError as error:
        raise DecodeError(f"mode {image.mode} cannot be brought to {mode}: {error}") from None


def _of_8_bits(image: Image.Image) -> Image.Image:
    """Return a picture of wide grey values as ``L``, or as ``LA`` where one value means transparent."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min(initial=0) < 0 or values.max(initial=0) > 0xFFFF:
        raise DecodeError(f"mode {image.mode}: pixels are taken as 8 or 16 bits, and these are none")
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is not None:
        grey.putalpha(Image.fromarray(np.where(values == clear, np.uint8(0), np.uint8(255))))
    return grey
