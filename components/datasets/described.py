"""Describes images by their bytes and pixels: the columns ``DESCRIPTION`` of the manifest."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from components.datasets.manifest import DESCRIPTION
from data.frames import Frame
from data.image_statistics import grey, grey_of, measure
from data.images import Colour, DecodeError, decode
from data.perceptual_hash import to_hex
from data.sources import reading
from data.sources.listing import printable

MAX_BYTES = 256 << 20
"""A file larger than this is no image to train on; it is not read into memory."""

_BATCH = 4096
_PIXELS = 1 << 20


class Described(NamedTuple):
    """A description of an image.

    Attributes:
        row: the columns of the manifest that describe it.
        content: its bytes unless it does not decode.
        pixels: uint8 [H, W, C], what a frame makes of it; None where none was asked for, or it does not decode.
    """

    row: dict[str, Any]
    content: bytes | None
    pixels: np.ndarray | None = None


def arrays(images_nhwc: np.ndarray) -> Iterator[Described]:
    """Describe images that lie in memory, uint8 [N, H, W, C]."""
    _, height, width, channels = images_nhwc.shape
    shape = {"width": width, "height": height, "mode": "L" if channels == 1 else "RGB", "format": "raw"}
    for start in range(0, len(images_nhwc), _BATCH):
        images = images_nhwc[start : start + _BATCH]
        for image, measured in zip(images, _measure(grey(images)), strict=True):
            content = image.tobytes()
            yield Described(shape | _of_bytes(content) | measured, content)


def files(
    sources: Iterable[tuple[Path | str, str | None]], ground: Colour, frame: Frame | None = None
) -> list[Described]:
    """Describe image files; images of one size are measured together.

    Args:
        sources: of each file its path and, where it is not there, the name of the file that may have been meant.
        ground: what transparent pictures are laid on.
        frame: makes pixels of whole pictures, since they are decoded here.
    """
    found: list[Described] = []
    same_size: dict[tuple[int, int], list[tuple[dict[str, Any], np.ndarray]]] = defaultdict(list)
    for path, nearest in sources:
        row, content = _read(path, nearest)
        pixels = None
        if content is not None:
            try:
                image, row["format"] = decode(content)
                picture = grey_of(image, ground)
                row |= {"width": image.width, "height": image.height, "mode": image.mode}
                same_size[picture.shape].append((row, picture))
                if frame is not None:
                    with suppress(DecodeError):  # Prepare says so, if anybody prepares it.
                        pixels = frame.of_image(image)[0]
            except DecodeError as error:
                row["error"], content = str(error), None
        found.append(Described(row, content, pixels))
    for (height, width), pictures in same_size.items():
        count = max(1, _PIXELS // (height * width))
        for start in range(0, len(pictures), count):
            rows, greys = zip(*pictures[start : start + count], strict=True)
            for row, measured in zip(rows, _measure(np.stack(greys)), strict=True):
                row |= measured
    return found


def _read(path: Path | str, nearest: str | None) -> tuple[dict[str, Any], bytes | None]:
    row = dict.fromkeys(DESCRIPTION) | {"decodes": False}
    try:
        row["bytes"] = reading.status(path).st_size
        if row["bytes"] > MAX_BYTES:
            return row | {"error": f"larger than {MAX_BYTES >> 20} MiB"}, None
        content = reading.content(path)
    except OSError as error:
        hint = f"; the nearest name is {printable(nearest)!r}" if nearest else ""
        return row | {"error": f"cannot be read: {error.strerror}{hint}"}, None
    return row | _of_bytes(content), content


def _of_bytes(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _measure(greys_nhw: np.ndarray) -> Iterator[dict[str, Any]]:
    found = measure(greys_nhw)
    columns = (found.brightness.tolist(), found.contrast.tolist(), found.sharpness.tolist())
    for phash, brightness, contrast, sharpness in zip(to_hex(found.phash), *columns, strict=True):
        yield {
            "phash": phash,
            "decodes": True,
            "error": None,
            "brightness": brightness,
            "contrast": contrast,
            "sharpness": sharpness,
        }
