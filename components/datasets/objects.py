"""The objects of a manifest of data for detection: as a table with a row each, and as tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data import fit
from data.objects import beyond, clip
from data.prepared import NO_OBJECT
from data.spec import ImageSpec

if TYPE_CHECKING:
    import pandas as pd


def categories(rows: pd.DataFrame) -> pd.Series:
    """Return the class of each object, with the index of its row in ``rows``; of other data, the label of each row."""
    return rows["categories"].explode().dropna() if "categories" in rows else rows["label"]


def counted(rows: pd.DataFrame) -> pd.Series:
    """Return :func:`categories` without those of crowds, of which no box is learned."""
    if "categories" not in rows:
        return rows["label"]
    found = rows[["categories", "crowd"]].explode(["categories", "crowd"]).dropna()
    return found.loc[~found["crowd"].astype(bool), "categories"]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per object.

    Returns:
        ``object`` (the example's id, ``#`` and the object's number from 0), ``category``, ``area`` (of its box within
        the picture, as a share of the picture's), ``beyond`` (pixels by which its box reaches beyond the border) and
        ``crowd``.
    """
    import pandas as pd  # Slow to import, and prepare of images without objects does without.

    parts = []
    for row in rows[rows["boxes"].notna() & rows["width"].notna()].itertuples(index=False):
        boxes = np.asarray(row.boxes).reshape(-1, 4)
        inside = clip(boxes, row.width, row.height)
        area = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1]) / (row.width * row.height)
        parts.append(
            {
                "object": [f"{row.id}#{number}" for number in range(len(boxes))],
                "category": list(row.categories),
                "area": area.tolist(),
                "beyond": beyond(boxes, row.width, row.height).tolist(),
                "crowd": list(row.crowd),
            }
        )
    columns = ("object", "category", "area", "beyond", "crowd")
    return pd.DataFrame({name: [value for part in parts for value in part[name]] for name in columns})


def tensors(rows: pd.DataFrame, classes: tuple[str, ...], image: ImageSpec) -> dict[str, np.ndarray]:
    """Return ``boxes`` float32 [N, M, 4] and ``box_labels`` int64 [N, M] of all rows, as a :class:`Split` has them.

    They are where ``image`` puts them; what it leaves nothing of is no object.
    """
    index = {name: number for number, name in enumerate(classes)}
    named = rows[["width", "height", "boxes", "categories", "crowd"]].itertuples(index=False)
    found = [_seen(row, image) for row in named]
    most = max(1, max(len(corners) for corners, _ in found))
    boxes = np.zeros((len(rows), most, 4), np.float32)
    labels = np.full((len(rows), most), NO_OBJECT, np.int64)
    for place, (corners, categories) in enumerate(found):
        boxes[place, : len(corners)] = corners
        labels[place, : len(corners)] = [index[name] for name in categories]
    return {"boxes": boxes, "box_labels": labels}


def _seen(row: Any, image: ImageSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes [n, 4] in [0, 1] and the categories [n] of a row's objects that are no crowds."""
    size = (row.width, row.height)
    inside = clip(np.asarray(row.boxes).reshape(-1, 4), *size)
    corners = fit.move(inside.reshape(-1, 2), image.fit, size, (image.width, image.height)).reshape(-1, 4)
    corners = np.clip(corners, 0, 1)
    chosen = ~np.asarray(row.crowd, dtype=bool)
    if image.fit == "crop":
        chosen &= (corners[:, 2:] > corners[:, :2]).all(axis=1)
    return corners[chosen], np.asarray(row.categories, dtype=object)[chosen]
