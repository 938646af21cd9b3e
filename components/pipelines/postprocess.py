"""Answers for people: a dict of plain JSON values and of pictures (Pillow images), which ``components/pipelines/tasks``
makes of a graph's outputs.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

Answer = dict[str, Any]
Description = Mapping[str, Any]
"""The values of ``bundle.json``."""

PNG = "data:image/png;base64,"


def to_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON values: pictures become ``data:`` URLs of PNG files."""

    def plain(value: Any) -> Any:
        if isinstance(value, Image.Image):
            return PNG + base64.b64encode(png(value)).decode()
        return [plain(item) for item in value] if isinstance(value, list) else value

    return {key: plain(value) for key, value in answer.items()}


def from_json(values: Mapping[str, Any]) -> Answer:
    """Return the answer that :func:`to_json` was given."""

    def opened(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(PNG):
            return Image.open(io.BytesIO(base64.b64decode(value.removeprefix(PNG))), formats=("PNG",))
        return [opened(item) for item in value] if isinstance(value, list) else value

    return {key: opened(value) for key, value in values.items()}


def png(image: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def picture(values_hwc: np.ndarray) -> Image.Image:
    """Return uint8 [H, W, 1] or [H, W, 3] as a picture."""
    return Image.fromarray(values_hwc[:, :, 0] if values_hwc.shape[2] == 1 else values_hwc)


def sheet(images: Sequence[Image.Image]) -> Image.Image:
    """Return images of one size side by side, in rows of a square."""
    columns = math.isqrt(len(images) - 1) + 1
    width, height = images[0].size
    rows = -(-len(images) // columns)
    whole = Image.new(images[0].mode, (columns * width, rows * height))
    for place, image in enumerate(images):
        whole.paste(image, (place % columns * width, place // columns * height))
    return whole


def color(k: int) -> str:
    """Return the colour that class ``k`` is drawn in, ``#rrggbb``."""
    return _COLORS[k % len(_COLORS)]


_COLORS = (
    "#84c5ec",
    "#ffa294",
    "#86dba9",
    "#e3cf85",
    "#cfa9f0",
    "#7fe0dc",
    "#f2a8cf",
    "#b8d97a",
    "#f0b37a",
    "#a9b8f0",
)
