"""Which split each example belongs to: a rule of contents alone, the same in every run and row order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data.prepared import SPLITS
from data.spec import Shares


def assign(manifest: pd.DataFrame, shares: Shares) -> pd.Series:
    """Return the split of each row.

    Splits that the source gives are kept. A ``validation`` or ``test`` that it does not give is carved from
    the rows that it leaves open or gives to ``train``: within each class (of images with objects, the rarest
    that they hold) contents are ranked by their SHA-256, the first share becomes ``test``, the next
    ``validation``. Rows of the same content move together, and contents that also lie in a given
    ``validation`` or ``test`` are never carved: carving puts no content in two splits.

    Args:
        manifest: columns ``split``, ``label``, ``sha256`` and, of objects, ``categories``, with any index.
        shares: of ``validation`` and ``test``; one that the source gives is not used.

    Returns:
        ``train``, ``validation`` or ``test``, with the index of ``manifest``.
    """
    given = manifest["split"]
    content = _numbered(
        manifest["sha256"]
    )  # Numbers, since as many strings again would be the most of the memory.
    taken = content[given.isin(["validation", "test"])].unique()
    open_rows = given.isin(["", "train"]) & ~content.isin(taken)
    # A content that carries two labels is ranked in the first of them alone.
    stratum = _rarest(manifest["categories"]) if "categories" in manifest else manifest["label"]
    ranked = pd.DataFrame({"content": content, "stratum": _numbered(stratum.fillna(""))})
    contents = ranked[open_rows].sort_values(["content", "stratum"]).drop_duplicates("content")
    by_class = contents.groupby("stratum", sort=False)["content"]
    rank, size = by_class.cumcount(), by_class.transform("size")
    num_test = _counts(size, 0.0 if "test" in set(given) else shares.test)
    num_validation = _counts(size, 0.0 if "validation" in set(given) else shares.validation)
    test = contents.loc[rank < num_test, "content"]
    validation = contents.loc[(rank >= num_test) & (rank < num_test + num_validation), "content"]

    split = given.where(given.isin(SPLITS), "train").rename("split")
    split = split.mask(open_rows & content.isin(test), "test")
    return split.mask(open_rows & content.isin(validation), "validation")


def _numbered(values: pd.Series) -> pd.Series:
    """Return for each string its place among all that there are, in their order; what is missing is the last."""
    numbers, found = values.factorize(use_na_sentinel=False)
    places = np.empty(len(found), np.int64)
    places[found.argsort()] = np.arange(len(found))
    return pd.Series(places[numbers], values.index)


def _rarest(categories: pd.Series) -> pd.Series:
    """Return of each row's classes the one that fewest objects are of; null where there is none."""
    objects = categories.explode().dropna()
    by_rarity = objects.to_frame("name").assign(count=objects.map(objects.value_counts()))
    first = by_rarity.sort_values(["count", "name"])["name"]
    return first[~first.index.duplicated()].reindex(categories.index)


def _counts(size: pd.Series, share: float) -> pd.Series:
    """Return how many of ``size`` contents a share is: to the nearest, and one at least of three or more."""
    counts = (size * share).round()
    return counts.mask((counts == 0) & (size >= 3), 1) if share else counts
