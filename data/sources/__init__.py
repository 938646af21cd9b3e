"""Where data sets come from. A source gives arrays, or names files; it never writes to what is the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Grey images of one size that lie in memory.

    Attributes:
        ids: N names, unique and sorted as the rows are.
        sources: N descriptions of where each image came from.
        splits: N of ``train``, ``validation``, ``test``, or empty where the source does not say.
        labels: N class names.
        images: uint8 [N, H, W].
    """

    ids: list[str]
    sources: list[str]
    splits: list[str]
    labels: list[str]
    images: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """One image file of a folder.

    Attributes:
        id: path relative to the folder, with ``/`` between parts and bytes that are no UTF-8 escaped.
        path: where to read it.
        split: ``train``, ``validation``, ``test``, or empty where the folder does not say.
        label: class name, or None when it is missing.
    """

    id: str
    path: Path
    split: str
    label: str | None
