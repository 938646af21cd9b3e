"""The objects of a manifest of data for detection: as a table with a row each, and as tensors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data.objects import beyond, clip
from data.prepared import NO_OBJECT


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


def tensors(rows: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return ``boxes`` float32 [N, M, 4] and ``box_labels`` int64 [N, M] of all rows, as a :class:`Split` has them."""
    index = {name: number for number, name in enumerate(classes)}
    counted = [~np.asarray(crowd, dtype=bool) for crowd in rows["crowd"]]
    most = max(1, max(int(one.sum()) for one in counted))
    boxes = np.zeros((len(rows), most, 4), np.float32)
    labels = np.full((len(rows), most), NO_OBJECT, np.int64)
    sizes = rows[["width", "height"]].to_numpy()
    for place, (size, chosen) in enumerate(zip(sizes, counted, strict=True)):
        found = clip(np.asarray(rows["boxes"].iloc[place]).reshape(-1, 4), *size)[chosen]
        boxes[place, : len(found)] = found / np.tile(size, 2)
        named = np.asarray(rows["categories"].iloc[place], dtype=object)[chosen]
        labels[place, : len(found)] = [index[name] for name in named]
    return {"boxes": boxes, "box_labels": labels}
