"""What every data set must meet, written as expectations of Great Expectations on a few tables.

``examples`` is the manifest with what was found out about each row; ``classes`` has a row per class; ``columns`` a row
per measured column; ``objects``, of data for detection, a row per object. Whatever a check needs to know is a column,
so that no expectation of our own is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from components.datasets import objects
from components.datasets.manifest import INPUT
from components.validation import drift, duplicates
from components.validation.rows import SPLIT, named
from components.validation.suite import Suite
from data.prepared import SPLITS
from data.spec import Splits
from data.splits import assign


@dataclass(frozen=True)
class Expectation:
    """One expectation.

    Attributes:
        table: ``examples``, ``classes``, ``columns`` or ``objects``.
        type: as Great Expectations calls it.
        arguments: its arguments, as Great Expectations calls them.
        says: what it means, for people; empty for the data set's own.
        setting: where ``suite.yaml`` has its bound, or empty.
    """

    table: str
    type: str
    arguments: dict[str, Any] = field(default_factory=dict)
    says: str = ""
    setting: str = ""


_STRETCH = 0.05
"""A pair whose sides' ratios differ by more does not lie on each other, pixel on pixel."""

KEYS = {"examples": "id", "classes": "class", "columns": "column", "objects": "object"}
"""The column that names the rows of each table."""


def tables(rows: pd.DataFrame, suite: Suite, splits: Splits) -> dict[str, pd.DataFrame]:
    """Return the tables that the expectations are on; without ``suite.reference`` there is no ``columns``."""
    split = rows[SPLIT] if SPLIT in rows else assign(rows, splits)
    examples = rows.assign(
        **{SPLIT: split},
        side=rows[["width", "height"]].min(axis=1),
        same_as=duplicates.earlier(rows),
        same_in_another_split=duplicates.in_another_split(rows, split),
        near_in_another_split=duplicates.near_in_another_split(rows, split, suite.general.near_duplicates),
    )
    if f"{INPUT}sha256" in rows:
        examples = examples.assign(
            stretch=_stretch(rows),
            same_input_in_another_split=duplicates.in_another_split(rows, split, f"{INPUT}sha256"),
        )
    if "identity" in rows:
        examples = examples.assign(
            same_person_in_another_split=duplicates.in_another_split(rows, split, "identity")
        )
    if "group" in rows:
        examples = examples.assign(
            same_group_in_another_split=duplicates.in_another_split(rows, split, "group")
        )
    if "symbols" in rows:
        examples = examples.assign(
            text_length=rows["symbols"].map(len, na_action="ignore").astype("Int64"),
            unknown_symbols=unknown(rows["symbols"], split),
        )
    if "words" in rows:
        examples = examples.assign(
            caption_length=rows["words"].map(len, na_action="ignore").astype("Int64"),
            unknown_words=unknown(rows["words"], split),
        )
    if "boxes" in rows:
        counts = objects.counted(rows).groupby(level=0).size()
        examples = examples.assign(counted_objects=counts.reindex(rows.index, fill_value=0))
    classes = _examples_by_class(rows, split)
    found = {"objects": objects.table(rows)} if "boxes" in rows else {}
    if suite.reference is None:
        return {"examples": examples, "classes": classes, **found}
    moved = drift.classes(rows, suite.reference)
    classes = classes.merge(moved, on="class", how="outer").fillna(dict.fromkeys(SPLITS, 0))
    return {
        "examples": examples,
        "classes": classes,
        "columns": drift.columns(rows, suite.reference),
        **found,
    }


def narrowed(tables: dict[str, pd.DataFrame], expectations: list[Expectation]) -> dict[str, pd.DataFrame]:
    """Return ``tables`` with the columns alone that ``expectations`` are about, and what names the rows.

    Great Expectations copies all of a table for each column that it looks at.
    """
    found = {}
    for name, table in tables.items():
        told = tuple({"type": one.type, **one.arguments} for one in expectations if one.table == name)
        asked = named([*table.columns], told) | {KEYS[name]}
        found[name] = table[[column for column in table.columns if column in asked]]
    return found


def unknown(parts: pd.Series, split: pd.Series) -> pd.Series:
    """Return of each text outside of train those of its ``parts`` that no text of train has, or None."""
    there = parts[parts.notna()]
    known = {part for text in there[split == "train"] for part in text}
    lacking = there[split != "train"].map(lambda text: sorted(set(text) - known))
    told = lacking[lacking.map(len) > 0].map(lambda missing: " ".join(map(repr, missing)))
    return told.reindex(parts.index).astype(object).where(lambda found: found.notna(), None)


def general(suite: Suite, rows: pd.DataFrame) -> list[Expectation]:
    """Return the expectations that always apply to a manifest, with the bounds of ``suite.general``."""
    pairs = _pairs(suite, len(rows)) if f"{INPUT}sha256" in rows else []
    faces = _faces() if "identity" in rows else []
    groups = _groups() if "group" in rows else []
    texts = _texts(suite, len(rows)) if "symbols" in rows else []
    captions = _captions(suite, len(rows)) if "words" in rows else []
    detection = "boxes" in rows
    return [
        *_each_file(suite),
        *(_objects(suite, rows) if detection else _labels()),
        *pairs,
        *faces,
        *groups,
        *texts,
        *captions,
        *_repetitions(suite, len(rows)),
        *_classes(suite),
        *_no_drift(suite),
    ]


def _examples_by_class(rows: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    """Return a row per class: ``class``, and how many examples of each split are of it or hold an object of it.

    A class of which there are only crowds has a row, too, of zeros.
    """
    of = objects.counted(rows).rename("class").to_frame().assign(split=split)
    if "categories" in rows:  # An image with several objects of a class counts once.
        of = of.assign(row=of.index).drop_duplicates()
    counts = of.groupby(["class", "split"]).size().unstack(fill_value=0)
    names = pd.Index(sorted(objects.categories(rows).dropna().unique()), name="class")
    counts = counts.reindex(index=names, columns=SPLITS, fill_value=0)
    return counts.rename_axis(columns=None).reset_index()


def _stretch(rows: pd.DataFrame) -> pd.Series:
    """Return how much more one of a pair is stretched than the other when both are brought to one shape, from 0."""
    ratio = (rows["width"] * rows[f"{INPUT}height"]) / (rows["height"] * rows[f"{INPUT}width"])
    return np.maximum(ratio, 1 / ratio) - 1


def _each_file(suite: Suite) -> list[Expectation]:
    bounds = suite.general
    return [
        _on_column("error", "to_be_null", "every file can be read and decoded"),
        _on_column(
            "side", "to_be_between", "no image is too small", "minimum_side", min_value=bounds.minimum_side
        ),
        _on_column("mode", "to_be_in_set", "images have a known mode", "modes", value_set=[*bounds.modes]),
        _on_column(
            "format", "to_be_in_set", "files have a known format", "formats", value_set=[*bounds.formats]
        ),
    ]


def _labels() -> list[Expectation]:
    return [_on_column("label", "to_not_be_null", "every example has a label")]


def _objects(suite: Suite, rows: pd.DataFrame) -> list[Expectation]:
    allowed = suite.general.boxes_beyond_border
    num_objects = max(1, int(rows["objects"].sum()))
    return [
        _on_column("object_error", "to_be_null", "every object lies in its picture and has an area"),
        Expectation(
            "examples",
            "expect_column_max_to_be_between",
            {"column": "counted_objects", "min_value": 1},
            "some objects are no crowds (iscrowd): from crowds alone, or no objects, nothing is learned",
        ),
        Expectation(
            "objects",
            "expect_column_values_to_be_between",
            {"column": "beyond", "max_value": 0, "mostly": _all_but(allowed, num_objects)},
            "no box reaches beyond the border (those that do are clipped)",
            "general.boxes_beyond_border",
        ),
    ]


def _pairs(suite: Suite, num_examples: int) -> list[Expectation]:
    bounds = suite.general
    values = {"mode": ("modes", bounds.modes), "format": ("formats", bounds.formats)}
    return [
        _on_column(f"{INPUT}error", "to_be_null", "every input can be read and decoded"),
        *(
            _on_column(
                f"{INPUT}{name}", "to_be_in_set", f"inputs have a known {name}", setting, value_set=[*known]
            )
            for name, (setting, known) in values.items()
        ),
        _on_column("stretch", "to_be_between", "an input has the shape of its image", max_value=_STRETCH),
        _on_column(
            "same_input_in_another_split",
            "to_be_null",
            "no input is in two splits",
            "inputs_across_splits",
            mostly=_all_but(bounds.inputs_across_splits, num_examples),
        ),
    ]


def _faces() -> list[Expectation]:
    return [
        _on_column("identity", "to_not_be_null", "it is known who is seen"),
        _on_column("same_person_in_another_split", "to_be_null", "nobody is in two splits"),
        _on_column("least_landmark", "to_be_between", "landmarks lie in the picture", min_value=0),
        _on_column("greatest_landmark", "to_be_between", "landmarks lie in the picture", max_value=1),
    ]


def _groups() -> list[Expectation]:
    return [_on_column("same_group_in_another_split", "to_be_null", "no group is in two splits")]


def _texts(suite: Suite, num_examples: int) -> list[Expectation]:
    bounds = suite.general
    return [
        _on_column("text", "to_not_be_null", "every example has a transcript, and none is empty"),
        _no_longer("text_length", "no transcript is too long", "longest_text", bounds.longest_text),
        _rarely(
            "unknown_symbols", "every symbol can be learned in train", bounds.unknown_symbols, num_examples
        ),
    ]


def _captions(suite: Suite, num_examples: int) -> list[Expectation]:
    bounds = suite.general
    return [
        _on_column("text", "to_not_be_null", "every example has a caption, and none is empty"),
        _on_column("caption_length", "to_be_between", "every caption has a word", min_value=1),
        _no_longer("caption_length", "no caption is too long", "longest_caption", bounds.longest_caption),
        _rarely("unknown_words", "every word can be learned in train", bounds.unknown_words, num_examples),
    ]


def _no_longer(column: str, words: str, setting: str, most: int) -> Expectation:
    return _on_column(column, "to_be_between", words, setting, max_value=most)


def _rarely(column: str, words: str, share: float, num_examples: int) -> Expectation:
    """Expect that only a share of the examples has something in a column; the setting is called like it."""
    return _on_column(column, "to_be_null", words, column, mostly=_all_but(share, num_examples))


def _repetitions(suite: Suite, num_examples: int) -> list[Expectation]:
    bounds, near = suite.general, suite.general.near_duplicates
    checks = [
        ("same_as", "no two examples have the same content", "exact_duplicates", bounds.exact_duplicates),
        (
            "same_in_another_split",
            "no content is in two splits",
            "duplicates_across_splits",
            bounds.duplicates_across_splits,
        ),
    ]
    if near.distance is not None:
        checks.append(
            ("near_in_another_split", "no picture is in two splits", "near_duplicates.allowed", near.allowed)
        )
    return [
        _on_column(column, "to_be_null", says, setting, mostly=_all_but(allowed, num_examples))
        for column, says, setting, allowed in checks
    ]


def _all_but(allowed: int, num_examples: int) -> float:
    """Return Great Expectations' ``mostly``; half an example of slack keeps rounding from deciding."""
    return max(0.0, 1 - (allowed + 0.5) / num_examples)


def _classes(suite: Suite) -> list[Expectation]:
    least = suite.general.examples_per_class
    return [
        Expectation(
            "classes",
            "expect_column_values_to_be_between",
            {"column": split, "min_value": least},
            f"every class has at least {least} in {split}",
            "general.examples_per_class",
        )
        for split in SPLITS
    ]


def _no_drift(suite: Suite) -> list[Expectation]:
    if suite.reference is None:
        return []
    limits = {
        "classes": (
            suite.general.drift.class_share,
            "general.drift.class_share",
            "no class's share has moved",
        ),
        "columns": (
            suite.general.drift.distance,
            "general.drift.distance",
            "no column's distribution has moved",
        ),
    }
    return [
        Expectation(
            table,
            "expect_column_values_to_be_between",
            {"column": "excess", "max_value": limit},
            says,
            setting,
        )
        for table, (limit, setting, says) in limits.items()
    ]


def _on_column(column: str, what: str, says: str, setting: str = "", **arguments: Any) -> Expectation:
    setting = f"general.{setting}" if setting else ""
    return Expectation(
        "examples", f"expect_column_values_{what}", {"column": column, **arguments}, says, setting
    )
