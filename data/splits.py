"""Which split each example belongs to: the same in every run and row order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data.content_splits import hashed
from data.errors import UserError
from data.prepared import SPLITS
from data.spec import Splits


def assign(manifest: pd.DataFrame, splits: Splits) -> pd.Series:
    """Return the split of each row.

    Splits that the source gives are kept. A ``validation`` or ``test`` that it does not give is carved from the rows
    that it leaves open or gives to ``train``. What is carved is never a part of a content: rows of the same content
    move together, and contents that also lie in a given ``validation`` or ``test`` stay where they are. What else
    moves together, and by which rule, ``splits.by`` says:

    - ``content``: each content has a place in [0, 1), its SHA-256 with ``splits.salt``; below the share of ``test`` it
      is one of ``test``, below both shares one of ``validation``. So it never changes when others come or go, and
      shares are met in the mean only.
    - ``group``: likewise each group, with all of its contents.
    - ``class``: within each class (of images with objects, the rarest that they hold) contents are ranked by their
      SHA-256, the first share becomes ``test``, the next ``validation``. Each class has its shares, at least one of
      three contents, and the borders move when contents come or go.

    With ``splits.test_weeks``, ``test`` is what is at most that many weeks older than the newest example, instead. A
    content or group is as old as its oldest row.

    Args:
        manifest: columns ``split``, ``label``, ``sha256``, of objects ``categories`` and, where the rule is by them,
            ``id`` and ``group``, and ``time`` in UTC; with any index.
        splits: shares of ``validation`` and ``test``, of which one that the source gives is not used, and the rule.

    Returns:
        ``train``, ``validation`` or ``test``, with the index of ``manifest``.

    Raises:
        UserError: a content is in two groups.
    """
    given = manifest["split"]
    content = _numbered(
        manifest["sha256"]
    )  # Numbers, since as many strings again would be the most of the memory.
    taken = content[given.isin(["validation", "test"])].unique()
    open_rows = given.isin(["", "train"]) & ~content.isin(taken)
    test = 0.0 if "test" in set(given) else splits.test
    validation = 0.0 if "validation" in set(given) else splits.validation
    found = given.where(given.isin(SPLITS), "train").rename("split")
    if splits.by == "class":
        in_test, in_validation = _ranked(manifest, content, open_rows, test, validation)
    else:
        unit = _groups(manifest, content) if splits.by == "group" else manifest["sha256"]
        place = _places(unit, splits.salt)
        in_test = place < test
        if splits.test_weeks is not None and "test" not in set(given):
            in_test = _newest(manifest["time"], unit, splits.test_weeks)
        in_validation = ~in_test & (place >= test) & (place < test + validation)
    return found.mask(open_rows & in_test, "test").mask(open_rows & in_validation, "validation")


def _ranked(
    manifest: pd.DataFrame, content: pd.Series, open_rows: pd.Series, test: float, validation: float
) -> tuple[pd.Series, pd.Series]:
    """Return which rows are of ``test`` and of ``validation``, by their ranks within the classes."""
    # A content that carries two labels is ranked in the first of them alone.
    stratum = _rarest(manifest["categories"]) if "categories" in manifest else manifest["label"]
    ranked = pd.DataFrame({"content": content, "stratum": _numbered(stratum.fillna(""))})
    contents = ranked[open_rows].sort_values(["content", "stratum"]).drop_duplicates("content")
    by_class = contents.groupby("stratum", sort=False)["content"]
    rank, size = by_class.cumcount(), by_class.transform("size")
    num_test, num_validation = _counts(size, test), _counts(size, validation)
    in_test = contents.loc[rank < num_test, "content"]
    in_validation = contents.loc[(rank >= num_test) & (rank < num_test + num_validation), "content"]
    return content.isin(in_test), content.isin(in_validation)


def _places(unit: pd.Series, salt: str) -> pd.Series:
    """Return for each unit its place in [0, 1): a hash of it and the salt, evenly spread."""
    numbers, units = unit.factorize(use_na_sentinel=False)
    return pd.Series(hashed(units, salt)[numbers], unit.index)


def _groups(manifest: pd.DataFrame, content: pd.Series) -> pd.Series:
    """Return the group of each row, which all rows of its content must have."""
    first = manifest["group"].groupby(content).transform("first")
    if (other := manifest["group"] != first).any():
        row = manifest[other].iloc[0]
        twin = manifest[(content == content[row.name]) & ~other].iloc[0]
        raise UserError(
            f"splits.by: group: {twin['id']} and {row['id']} are the same image, in the groups {twin['group']!r} and"
            f" {row['group']!r}. Write one group for both: no image may be in two splits."
        )
    return manifest["group"]


def _newest(time: pd.Series, unit: pd.Series, weeks: int) -> pd.Series:
    """Return which rows are of units all of whose rows are of the newest weeks."""
    return time.groupby(unit).transform("min") > time.max() - pd.Timedelta(weeks=weeks)


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
