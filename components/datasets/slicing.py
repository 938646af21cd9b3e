"""Which test examples are in the slices of ``dataset.yaml``, by the manifest.

A bound that is a share (``lowest``, ``highest``) becomes a value of the train split: no test image moves it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from components.datasets import manifest, objects
from components.datasets.slices import Slices
from components.project.layout import dataset_file, ingested, prepared
from data.errors import UserError, nearest
from data.slices import DESCRIBED, Bounds, SliceRule
from data.spec import DatasetSpec

MOST = 100
"""Values that a column may have whose ``values`` are not named."""


def find(dataset: str, settings: DatasetSpec) -> Slices:
    """Return the slices of the test split of ``dataset``, whose prepared folder is there; ``settings``: of its file.

    Raises:
        UserError: a column is not there, has too many values or not the one that is named, or an image has no boxes.
    """
    ids = json.loads((prepared(dataset) / "ids.json").read_text())
    rows = manifest.read(ingested(dataset), ["id", *_columns(settings)]).set_index("id", drop=False)
    if any(rule.box_area is not None for rule in settings.slices.values()):
        rows["box_area"] = _smallest(rows)
    rules: dict[str, str] = {}
    members = []
    for name, rule in settings.slices.items():
        where = f"{dataset_file(dataset)}: slices.{name}"
        found = of_column(where, name, rule, rows, ids) if rule.column else _of_bounds(name, rule, rows, ids)
        for of_slice, told, chosen in found:
            if of_slice in rules:
                raise UserError(
                    f"{where}: there is another slice {of_slice!r}: give one of them another name."
                )
            rules[of_slice] = told
            members.append(chosen)
    return Slices(ids["test"], rules, np.stack(members, axis=1))


def _columns(settings: DatasetSpec) -> list[str]:
    """Return the columns of the manifest that the slices need."""
    needed = {manifest.column(rule.column) for rule in settings.slices.values() if rule.column}
    for rule in settings.slices.values():
        needed |= rule.bounds.keys() - {"box_area"}
        if rule.box_area is not None:
            needed |= {"width", "height", "boxes", "categories", "crowd"}
    return sorted(needed)


def _smallest(rows: pd.DataFrame) -> pd.Series:
    """Return the area of each image's smallest object, as a share of the picture's; NaN without an object."""
    found = objects.table(rows)
    found = found[~found["crowd"].astype(bool)]
    return found["area"].groupby(found["object"].str.rpartition("#")[0]).min()


def of_column(
    where: str, name: str, rule: SliceRule, rows: pd.DataFrame, ids: dict[str, list[str]]
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield name, rule in words and members of each value's slice.

    Args:
        where: the setting, for messages.
        name: of the slices, before their values.
        rule: has a ``column``.
        rows: the manifest, by id.
        ids: of each split; those of ``test`` are looked at.

    Raises:
        UserError: the column is not there, has too many values or not the one that is named.
    """
    column = rows[manifest.column(rule.column)]
    of_test = column.loc[ids["test"]]
    known = sorted(column.dropna().unique())
    if not known:
        told = "images of this data set have none" if rule.column in DESCRIBED else "no metadata give one"
        raise UserError(f"{where}.column: {rule.column!r}: {told}.")
    for value in rule.values or ():
        if value not in known:
            raise UserError(
                f"{where}.values: no image has the {rule.column} {value!r}.{nearest(value, known)}"
            )
    values = rule.values or sorted(of_test.dropna().unique())
    if not values:
        raise UserError(f"{where}.column: no test image has a {rule.column}.")
    if len(values) > MOST:
        raise UserError(
            f"{where}: {rule.column!r} has {len(values):,} values, and at most {MOST} can be slices. Name those that "
            f"count: values: [{', '.join(map(str, values[:3]))}]"
        )
    for value in values:
        yield f"{name}={value}", f"{rule.column} is {value}", (of_test == value).to_numpy(bool)


def _of_bounds(
    name: str, rule: SliceRule, rows: pd.DataFrame, ids: dict[str, list[str]]
) -> Iterator[tuple[str, str, np.ndarray]]:
    chosen, told = np.ones(len(ids["test"]), bool), []
    for key, bounds in rule.bounds.items():
        of_train, of_test = (rows.loc[ids[split], key].to_numpy(np.float64) for split in ("train", "test"))
        for words, meets in _tests(bounds, of_train, of_test):
            chosen &= meets
            told.append(f"{key.replace('_', ' ')} {words}")
    yield name, ", ".join(told), chosen


def _tests(bounds: Bounds, of_train: np.ndarray, of_test: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each bound in words, and which of ``of_test`` [N] meet it; NaN meets none."""
    if bounds.at_least is not None:
        yield f"at least {bounds.at_least:g}", of_test >= bounds.at_least
    if bounds.below is not None:
        yield f"below {bounds.below:g}", of_test < bounds.below
    if bounds.lowest is not None:
        limit = float(np.nanquantile(of_train, bounds.lowest))
        yield f"at most {limit:.4g} (lowest {bounds.lowest:g} of train)", of_test <= limit
    if bounds.highest is not None:
        limit = float(np.nanquantile(of_train, 1 - bounds.highest))
        yield f"at least {limit:.4g} (highest {bounds.highest:g} of train)", of_test >= limit
