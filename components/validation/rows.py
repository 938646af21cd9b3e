"""What a validation reads of a manifest: of a million examples only what is asked for, and hashes as numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.datasets import arrow, compact, manifest
from components.datasets.manifest import BYTES, FEW, HASHES, INPUT
from data.content_splits import OPEN, by_content
from data.prepared import SPLITS
from data.spec import Splits

SPLIT = "split_used"
"""The column of the splits that are made, where they are made already."""

_UNASKED = ("source", "bytes", "shard", "row", "mask_row", "landmarks", "decodes")
"""Columns that no general expectation is about; nor is any about these of an input."""


def read(folder: Path, expectations: tuple[dict[str, Any], ...], splits: Splits) -> pd.DataFrame:
    """Return the manifest of an ``ingest`` folder as far as the general expectations and a data set's own need it.

    Args:
        folder: the ``ingest`` folder.
        expectations: the data set's own, as ``suite.yaml`` has them.
        splits: how splits are made.

    Returns:
        Its rows in their order. In place of a hash that none of ``expectations`` is about is a number: of a SHA-256 its
        place among all that there are, in their order; of a perceptual hash what it says; none where there is no hash.
        Modes, formats and errors are categories where none of ``expectations`` is about them.

    Raises:
        UserError: there is no manifest.
    """
    there = manifest.columns(folder)
    asked = named(there, expectations)
    unasked = {*_UNASKED, *(f"{INPUT}{name}" for name in (*_UNASKED, "phash"))}
    wanted = [name for name in there if name in asked or name not in unasked]
    digests = [name for name in BYTES if name in wanted and name not in asked]
    few = [name for name in FEW if name in wanted]
    table, _ = manifest.read_compact(folder, wanted, digests, few)
    found = {name: _numbers(name, table[name]) for name in digests}
    if "sha256" in digests:
        # Splits are made of hashes: of these while they are there, or else of their texts.
        if splits.by == "content" and splits.test_weeks is None and not table["sha256"].null_count:
            found[SPLIT] = _splits(table, splits)
        elif splits.by != "class":
            told = (None if one is None else one.hex() for one in table["sha256"].to_pylist())
            found["sha256"] = pd.Series(told, dtype="str")
    # A category is no text, which is what the data set's own expectations are about, and what labels are sorted as.
    texts = [name for name in few if name in asked or name in ("label", "split")]
    found |= {name: table[name].cast("string").to_pandas() for name in texts}
    table = table.drop_columns([name for name in found if name != SPLIT])
    rows = table.to_pandas(split_blocks=True, self_destruct=True).assign(**found)
    return rows[[*wanted, *(name for name in found if name == SPLIT)]]


def _splits(table: pa.Table, splits: Splits) -> pd.Series:
    told, of_row = compact.named(table["split"])
    given = np.array([SPLITS.index(name) if name else OPEN for name in told], np.int8)[of_row]
    split = by_content(given, compact.digests(table["sha256"]), splits)
    return pd.Series(np.array(SPLITS, object)[split], dtype="str")


def named(columns: list[str], expectations: tuple[dict[str, Any], ...]) -> set[str]:
    """Return those of ``columns`` that expectations may be about: whose names are in their arguments, anywhere."""
    if any(str(one.get("type")).startswith("expect_table_column") for one in expectations):
        return set(columns)
    told = " ".join(repr({**one, "type": None}) for one in expectations)
    return {name for name in columns if name in told}


def _numbers(name: str, column: Any) -> pd.arrays.IntegerArray:
    is_there = arrow.is_there(column.combine_chunks())
    digests = compact.digests(column)
    if name in HASHES:
        numbers = np.zeros(len(column), np.int64)
        numbers[is_there] = compact.numbers(digests[is_there])
    else:
        numbers = digests.view(">u8").ravel().astype(np.uint64)
    return pd.arrays.IntegerArray(numbers, ~is_there)
