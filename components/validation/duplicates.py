"""Images that a manifest holds twice: the same bytes, or nearly the same picture on both sides of a split."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from components.validation.suite import NearDuplicates
from data.perceptual_hash import from_hex, near_pairs
from data.prepared import SPLITS


def earlier(rows: pd.DataFrame) -> pd.Series:
    """Return for each row the id of an earlier row with the same content, or None."""
    first = rows.groupby("sha256")["id"].transform("first")
    return _name(first.where(rows.duplicated("sha256") & rows["sha256"].notna()))


def in_another_split(rows: pd.DataFrame, split: pd.Series, column: str = "sha256") -> pd.Series:
    """Return for each row the id of the first row of another split with the same content (``column``), or None."""
    found = pd.Series(None, index=rows.index, dtype=object)
    contents = rows[column].where(rows[column].notna() & rows.duplicated(column, keep=False))
    for name in SPLITS:
        elsewhere = contents[(split != name) & contents.notna()]
        first = rows["id"].groupby(elsewhere, sort=False).first()
        here = (split == name) & contents.isin(first.index)
        found[here] = contents[here].map(first)
    return found


def near_in_another_split(rows: pd.DataFrame, split: pd.Series, rule: NearDuplicates) -> pd.Series:
    """Return for each row the id of an image of another split that shows nearly the same, or None.

    Of two such images the one in the later of train, validation, test is the one that is reported. The same
    content is no near duplicate: :func:`in_another_split` finds it.
    """
    found = pd.Series(None, index=rows.index, dtype=object)
    if rule.distance is None:
        return found
    usable = rows["phash"].notna().to_numpy()
    hashes = np.zeros(len(rows), np.uint64)
    hashes[usable] = from_hex(rows.loc[usable, "phash"].tolist())
    members = {name: np.flatnonzero(usable & (split == name).to_numpy()) for name in SPLITS}
    for earlier_split, later_split in combinations(SPLITS, 2):
        left, right = members[later_split], members[earlier_split]
        i, j = near_pairs(hashes[left], hashes[right], rule.distance)
        later_rows, earlier_rows = left[i], right[j]
        same = _alike(rows, later_rows, earlier_rows, rule.tone)
        found.iloc[later_rows[same]] = rows["id"].to_numpy()[earlier_rows[same]]
    return found


def _alike(rows: pd.DataFrame, left: np.ndarray, right: np.ndarray, tone: float) -> np.ndarray:
    contents = rows["sha256"].to_numpy()
    alike = contents[left] != contents[right]
    for column in ("brightness", "contrast"):
        values = rows[column].to_numpy()
        alike &= np.abs(values[left] - values[right]) <= tone
    return alike


def _name(ids: pd.Series) -> pd.Series:
    return ids.astype(object).where(ids.notna(), None)
