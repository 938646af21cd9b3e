"""From the ingested images of challenge sets to their prepared folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from components.datasets import manifest, objects, slices, slicing
from components.datasets.challenge_sets import LEFT_OUT, SLICES
from components.datasets.pictures import Pictures, layout
from components.datasets.shards import SplitWriter
from components.datasets.slices import Slices
from components.project.layout import dataset_file, ingested, ingested_challenge_sets
from data import atomic, text
from data.errors import UserError, nearest
from data.prepared import NO_OBJECT, DataSpec
from data.slices import SliceRule
from data.spec import DatasetSpec

_SHOWN = 3


def write(folder: Path, dataset: str, settings: DatasetSpec, spec: DataSpec) -> None:
    """Write the challenge sets of ``dataset`` into ``folder``; ``spec``: of its prepared data.

    An image whose content, or whose group, is in a split is left out and counted.

    Raises:
        UserError: an image cannot be read or has no label that the data set knows, or nothing is left of a set.
    """
    source = ingested_challenge_sets(dataset)
    rows = manifest.read(source)
    _require_answers(dataset, rows, spec)
    is_known = _known(rows, settings, ingested(dataset))
    left_out = {name: int((is_known & (rows["split"] == name)).sum()) for name in settings.challenge_sets}
    kept = np.flatnonzero(~is_known)
    sets = _sets(dataset, settings, rows.iloc[kept])
    known = _tensors(rows, settings, spec)
    whole = settings.model_copy(update={"image": settings.image.model_copy(update={"storage": "raw"})})
    tensors = layout(whole) | {name: (values.dtype, values.shape[1:]) for name, values in known.items()}
    writer, start = SplitWriter(folder, "test", len(kept), tensors), 0
    # As models see those of the data set, whose settings say at which scale files are decoded.
    for part in Pictures(dataset, rows, rows["split"].to_numpy(), settings, spec.classes, source).parts():
        here = slice(start, start := start + len(part.tensors[manifest.IMAGES]))
        chosen = ~is_known[here]
        found = part.tensors | {name: values[here] for name, values in known.items()}
        writer.add({name: found[name][chosen] for name in tensors})
    content = json.dumps([spec.sha256, writer.close()], sort_keys=True).encode()
    values = replace(spec, sha256=hashlib.sha256(content).hexdigest(), encoded=False)
    atomic.write_json(folder / "spec.json", values.to_json())
    atomic.write_json(folder / "ids.json", {"test": sets.ids})
    atomic.write_json(folder / LEFT_OUT, left_out)
    slices.write(folder / SLICES, sets)


def _require_answers(dataset: str, rows: pd.DataFrame, spec: DataSpec) -> None:
    """Check that each image can be read and has an answer by which models can be measured."""
    wrong = rows["error"].where(~rows["decodes"].astype(bool))
    if "object_error" in rows:
        wrong = wrong.fillna(rows["object_error"])
        wrong = wrong.fillna(_foreign(rows["categories"], "class", spec.classes))
    else:
        labels = rows["label"].map(lambda label: [label], na_action="ignore")
        wrong = wrong.fillna(_foreign(labels, "class", spec.classes))
    if "symbols" in rows:
        wrong = wrong.fillna(_foreign(rows["symbols"], "symbol", spec.symbols or ()))
        wrong = wrong.fillna(_too_long(rows["symbols"], spec.longest_text or 0))
    wrong = wrong.dropna()
    if len(wrong):
        told = [f"{rows['id'][row]}: {error}" for row, error in wrong.iloc[:_SHOWN].items()]
        rest = f", and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        raise UserError(
            f"{dataset_file(dataset)}: challenge_sets: {'; '.join(told)}{rest}. Models cannot be measured on it."
        )


def _foreign(told: pd.Series, kind: str, known: Sequence[str]) -> pd.Series:
    """Return what is wrong with the ``told`` lists of each row: missing, or not among ``known``; else null."""

    def look(values: object) -> str | None:
        if values is None or isinstance(values, float):
            return f"nothing tells its {kind}"
        one = next((value for value in values if value not in known), None)
        return one and f"the data set has no {kind} {one!r}.{nearest(one, known)}".removesuffix(".")

    return told.map(look)


def _too_long(told: pd.Series, longest: int) -> pd.Series:
    """Return what is wrong with transcripts that no model of the data set can answer; else null."""
    return told.map(
        lambda symbols: (
            f"has {len(symbols)} symbols, and the data set's longest transcript has {longest}"
            if len(symbols) > longest
            else None
        ),
        na_action="ignore",
    )


def _known(rows: pd.DataFrame, settings: DatasetSpec, folder: Path) -> np.ndarray:
    """Return bool [N]: which images are in a split of the data set, whose ingest folder this is."""
    by_group = settings.splits.by == "group"
    of_splits = manifest.read(folder, ["sha256", "group"] if by_group else ["sha256"])
    found = rows["sha256"].isin(of_splits["sha256"])
    if by_group:
        group = rows[manifest.column("group")]
        found |= group.isin(of_splits["group"]) & group.notna()
    return found.to_numpy(bool)


def _sets(dataset: str, settings: DatasetSpec, rows: pd.DataFrame) -> Slices:
    """Return the sets of the images ``rows``."""
    ids = rows["id"].tolist()
    rules: dict[str, str] = {}
    members = []
    for name, told, chosen in _found(dataset, settings, rows):
        if name in rules:
            raise UserError(
                f"{dataset_file(dataset)}: challenge_sets: there are two called {name!r}: give one another name."
            )
        rules[name] = told
        members.append(chosen)
    return Slices(ids, rules, np.stack(members, axis=1))


def _found(dataset: str, settings: DatasetSpec, rows: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    for name, one in settings.challenge_sets.items():
        where = f"{dataset_file(dataset)}: challenge_sets.{name}"
        chosen = (rows["split"] == name).to_numpy()
        if not chosen.any():
            raise UserError(
                f"{where}: nothing is left of it: all of its images are in the data set's splits."
            )
        if one.column is None:
            yield name, "all of its images", chosen
            continue
        of_set = rows[chosen].set_index("id", drop=False)
        rule = SliceRule(column=one.column, values=one.values)
        for value, told, of_value in slicing.of_column(where, name, rule, of_set, {"test": [*of_set["id"]]}):
            of_all = np.zeros(len(rows), bool)
            of_all[np.flatnonzero(chosen)[of_value]] = True
            yield value, told, of_all


def _tensors(rows: pd.DataFrame, settings: DatasetSpec, spec: DataSpec) -> dict[str, np.ndarray]:
    """Return what the manifest says of all images, as prepare does of a split."""
    contents = np.array([int(digits[:16], 16) for digits in rows["sha256"]], np.uint64).view(np.int64)
    place = {name: number for number, name in enumerate(spec.classes)}
    has_objects = settings.objects is not None
    labels = [NO_OBJECT] * len(rows) if has_objects else [place[label] for label in rows["label"]]
    found = {"labels": np.array(labels, np.int64), "contents": contents}
    if has_objects:
        found |= objects.tensors(rows, spec.classes, settings.image)
    if spec.symbols is not None:
        found["texts"] = text.encode(rows["symbols"].tolist(), spec.symbols, spec.longest_text or 0)
    return found
