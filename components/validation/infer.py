"""Writes ``suite.yaml`` from a manifest, once; then people edit it, and only its ``reference`` is renewed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from components.datasets import objects
from components.datasets.manifest import INPUT
from components.validation import drift, expectations
from data import atomic
from data.errors import UserError
from data.spec import Splits
from data.splits import assign

_HEAD = """What must hold of this data set. Inferred from the data; yours to edit.
`darkroom data check {name}` tries it; `darkroom data accept {name}` renews `reference` and nothing else.
"""


def infer(dataset: str, rows: pd.DataFrame, splits: Splits, path: Path) -> None:
    """Write the suite that ``rows``, split by ``splits``, suggests to ``path``.

    Raises:
        UserError: ``path`` is there already, or no example can be used.
    """
    if path.exists():
        raise UserError(
            f"{path}: is there already and may have been edited. To renew only its reference, run: "
            f"darkroom data accept {dataset}. To infer it all anew, delete it first."
        )
    detection = "boxes" in rows
    told = rows["object_error"].isna() & rows["boxes"].notna() if detection else rows["label"].notna()
    if "text" in rows:
        told &= rows["text"].notna()
    usable = rows[rows["decodes"] & told]
    if objects.counted(usable).empty:
        texts = {"symbols": "a transcript", "words": "a label, a caption"}
        what = (
            "objects other than crowds (iscrowd)"
            if detection
            else next((texts[key] for key in texts if key in rows), "a label")
        )
        raise UserError(f"{dataset}: nothing to infer from: no example has {what} and an image that decodes.")
    values = CommentedMap(general=_general(usable, splits), expectations=_expectations(usable))
    values["reference"] = _reference(usable)
    values.yaml_set_start_comment(_HEAD.format(name=dataset))
    values.yaml_set_comment_before_after_key("expectations", before="\nAs Great Expectations calls them.")
    values.yaml_set_comment_before_after_key(
        "reference", before="\nThe last accepted data, which drift is measured against."
    )
    _write(path, values)


def accept(rows: pd.DataFrame, path: Path) -> None:
    """Make ``rows`` the reference of the suite ``path``; all else in it, comments included, stays."""
    values = _yaml().load(path.read_text())
    comment = values.ca.items.get("reference")
    values["reference"] = _reference(rows)
    if comment:
        values.ca.items["reference"] = comment
    _write(path, values)


def _general(rows: pd.DataFrame, splits: Splits) -> CommentedMap:
    side = int(rows[["width", "height"]].min().min())
    near = CommentedMap(distance=_hash_distance(side), tone=0.02, allowed=0)
    near.fa.set_flow_style()
    general = CommentedMap(
        minimum_side=min(8, side),
        modes=_flow(_found(rows, "mode")),
        formats=_flow(_found(rows, "format")),
        examples_per_class=1,
        exact_duplicates=0,
        duplicates_across_splits=0,
        near_duplicates=near,
        drift=CommentedMap(distance=0.1, class_share=0.05),
    )
    if f"{INPUT}sha256" in rows:
        general.insert(
            6, "inputs_across_splits", 0, comment="how many may have the input of one in another split"
        )
    if "symbols" in rows:
        general.insert(7, "longest_text", int(rows["symbols"].dropna().map(len).max()), comment="symbols")
    if "words" in rows:
        # Of the words of a language no text has all: as many unknown ones as there are now are no fault.
        unknown = int(expectations.unknown(rows["words"], assign(rows, splits)).notna().sum())
        general.insert(7, "longest_caption", max(1, int(rows["words"].map(len).max())), comment="words")
        general.insert(
            8, "unknown_words", unknown, comment="how many outside of train may hold a word that train lacks"
        )
    if "boxes" in rows:
        general.insert(
            6,
            "boxes_beyond_border",
            0,
            comment="how many boxes may reach beyond the border; they are clipped",
        )
    general["drift"].fa.set_flow_style()
    say = general.yaml_add_eol_comment
    say("pixels", "minimum_side")
    say("at least, in each split", "examples_per_class")
    say("how many examples may repeat another's content", "exact_duplicates")
    say("how many may have the content of one in another split", "duplicates_across_splits")
    if near["distance"] is None:
        why = "off: images this small have nothing but the low frequencies that the hash compares"
    else:
        why = "bits of 64; how far brightness and contrast may differ; how many are allowed"
    say(why, "near_duplicates")
    say("beyond chance, of 1", "drift")
    return general


def _found(rows: pd.DataFrame, column: str) -> list[str]:
    """Return what occurs in a column, among images and their inputs."""
    columns = [name for name in (column, f"{INPUT}{column}") if name in rows]
    return sorted({value for name in columns for value in rows[name].dropna()})


def _hash_distance(side: int) -> int | None:
    """Return how many bits near duplicates may differ in: less detail, more alike."""
    if side < 16:
        return None
    return 4 if side >= 64 else 0


def _expectations(rows: pd.DataFrame) -> CommentedSeq:
    labels = sorted(objects.categories(rows).unique())
    of = {"table": "objects", "column": "category"} if "boxes" in rows else {"column": "label"}
    items = [
        {"type": "expect_column_values_to_be_in_set", **of, "value_set": labels},
        {"type": "expect_column_distinct_values_to_contain_set", **of, "value_set": labels},
        {"type": "expect_table_row_count_to_be_between", "min_value": max(1, len(rows) // 2)},
    ]
    if "boxes" in rows:
        between = {"type": "expect_column_values_to_be_between"}
        smallest = float(f"{objects.table(rows)['area'].min() / 2:.2g}")
        items += [
            {**between, "column": "objects", "min_value": 0, "max_value": 2 * int(rows["objects"].max())},
            {**between, "table": "objects", "column": "area", "min_value": smallest},
        ]
    if rows["contrast"].min() > 0.01:  # No image is blank.
        items.append({"type": "expect_column_values_to_be_between", "column": "contrast", "min_value": 0.01})
    expectations = CommentedSeq()
    for item in items:
        expectations.append(CommentedMap(item))
        if "value_set" in item:
            expectations[-1]["value_set"] = _flow(item["value_set"])
    return expectations


def _reference(rows: pd.DataFrame) -> CommentedMap:
    values = drift.describe(rows).model_dump()
    reference = CommentedMap(examples=values["examples"], classes=CommentedMap(values["classes"]))
    reference["classes"].fa.set_flow_style()
    columns = CommentedMap()
    for name, sketch in values["columns"].items():
        columns[name] = CommentedMap({key: _flow(row) for key, row in sketch.items()})
    reference["columns"] = columns
    return reference


def _flow(items: Any) -> CommentedSeq:
    sequence = CommentedSeq(items)
    sequence.fa.set_flow_style()
    return sequence


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 4096  # Else ruamel.yaml breaks lists, and leaves a blank at the end of each line.
    return yaml


def _write(path: Path, values: CommentedMap) -> None:
    with atomic.file(path) as temporary, temporary.open("w") as file:
        _yaml().dump(values, file)
