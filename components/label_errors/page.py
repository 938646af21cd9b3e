"""The page of a data set's labels: one HTML file with the pictures in it and no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from components.project import templates

_FOLDER = Path(__file__).parent
_SIDE = 96
"""Pixels that a picture is about wide, or high where it is higher."""


@dataclass(frozen=True)
class Shown:
    """A picture with what is said of it.

    Attributes:
        uri: ``data:image/png;base64,...``.
        id: of the example.
        split: which it is in.
        label: the given one.
    """

    uri: str
    id: str
    split: str
    label: str


@dataclass(frozen=True)
class Suspect:
    """An example whose label is likely wrong.

    Attributes:
        shown: its picture.
        suggested: the class that it more likely is of.
        given: the probability of the given label.
        other: that of the suggested one.
    """

    shown: Shown
    suggested: str
    given: float
    other: float


def picture(image: np.ndarray) -> str:
    """Return uint8 [H, W, C] as a PNG in a data URI: small ones enlarged by whole pixels, large ones made smaller."""
    drawn = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    if max(drawn.size) <= _SIDE:
        scale = max(1, round(_SIDE / max(drawn.size)))
        drawn = drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST)
    else:
        drawn.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    drawn.save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def render(
    summary: Mapping[str, Any],
    suspects: Sequence[Suspect],
    conflicts: Sequence[tuple[Shown, Shown, str]],
) -> str:
    """Return the page; every name in it is escaped.

    Args:
        summary: ``summary.json``.
        suspects: the likeliest errors, the likeliest first.
        conflicts: of two pictures each, with how alike they are.
    """
    environment = templates.environment(_FOLDER)
    style = Markup((_FOLDER / "style.css").read_text())
    return environment.get_template("page.html").render(
        summary=summary, suspects=suspects, conflicts=conflicts, style=style
    )
