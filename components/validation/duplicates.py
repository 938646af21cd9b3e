"""Images that a manifest holds twice: the same bytes, or nearly the same picture on both sides of a split."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from pandas.api.types import is_integer_dtype

from components.validation.suite import NearDuplicates
from data.perceptual_hash import from_hex, near_pairs
from data.prepared import SPLITS


def earlier(rows: pd.DataFrame) -> pd.Series:
    """Return for each row the id of an earlier row with the same content, or None."""
    again = rows[rows["sha256"].notna() & rows.duplicated("sha256", keep=False)]
    later = again.duplicated("sha256")
    return _few(again.groupby("sha256")["id"].transform("first")[later], rows)


def in_another_split(rows: pd.DataFrame, split: pd.Series, column: str = "sha256") -> pd.Series:
    """Return for each row the id of the first row of another split with the same content (``column``), or None."""
    contents = rows.loc[rows[column].notna() & rows.duplicated(column, keep=False), column]
    found = []
    for name in SPLITS:
        is_here = split[contents.index] == name
        first = rows.loc[contents.index[~is_here], "id"].groupby(contents[~is_here], sort=False).first()
        here = contents[is_here]
        found.append(here[here.isin(first.index)].map(first))
    return _few(pd.concat(found), rows)


def near_in_another_split(rows: pd.DataFrame, split: pd.Series, rule: NearDuplicates) -> pd.Series:
    """Return for each row the id of an image of another split that shows nearly the same, or None.

    Of two such images the one in the later of train, validation, test is the one that is reported. The same
    content is no near duplicate: :func:`in_another_split` finds it.
    """
    if rule.distance is None:
        return _few(rows["id"].iloc[:0], rows)
    found = []
    usable = rows["phash"].notna().to_numpy()
    hashes = np.zeros(len(rows), np.uint64)
    hashes[usable] = _hashes(rows.loc[usable, "phash"])
    members = {name: np.flatnonzero(usable & (split == name).to_numpy()) for name in SPLITS}
    for earlier_split, later_split in combinations(SPLITS, 2):
        left, right = members[later_split], members[earlier_split]
        i, j = near_pairs(hashes[left], hashes[right], rule.distance)
        later_rows, earlier_rows = left[i], right[j]
        same = _alike(rows, later_rows, earlier_rows, rule.tone)
        found.append(pd.Series(rows["id"].iloc[earlier_rows[same]].to_numpy(), rows.index[later_rows[same]]))
    told = pd.concat(found)
    return _few(told[~told.index.duplicated(keep="last")], rows)


def _few(found: pd.Series, rows: pd.DataFrame) -> pd.Series:
    """Return for each of ``rows`` the id that was ``found`` for it, or nothing; a category, as most have nothing."""
    return found.astype("category").reindex(rows.index)


def _hashes(column: pd.Series) -> np.ndarray:
    """Return uint64 hashes of their digits, or of the numbers that ``components/validation/rows.py`` made of these."""
    return column.to_numpy(np.uint64) if is_integer_dtype(column) else from_hex(column.tolist())


def _alike(rows: pd.DataFrame, left: np.ndarray, right: np.ndarray, tone: float) -> np.ndarray:
    contents = rows["sha256"].to_numpy()
    alike = contents[left] != contents[right]
    for column in ("brightness", "contrast"):
        values = rows[column].to_numpy()
        alike &= np.abs(values[left] - values[right]) <= tone
    return alike
