"""Stage ``labels``: looks for wrong labels of a data set of classes. It changes and removes nothing.

It leaves in ``artifacts/data/<dataset>/labels/``

- ``label_errors.csv``: a row per example, the likeliest error first;
- ``conflicts.csv``: a row per two examples of the same or nearly the same picture and different labels;
- ``summary.json``: how many labels are likely wrong, their share, and which label stands for which;
- ``index.html``: the likeliest with their pictures.

``general.label_errors`` of ``suite.yaml`` bounds the share: where it is broken, the stage fails after all is written.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.datasets import manifest
from components.label_errors import confident, conflicts, out_of_fold, page
from components.label_errors.confident import Findings
from components.label_errors.conflicts import Conflict
from components.label_errors.page import Shown, Suspect
from components.project import params
from components.project.command import main
from components.project.layout import ingested, label_errors, prepared, suite_file
from components.validation import suite
from data import atomic
from data.errors import UserError
from data.kinds import KINDS
from data.prepared import SPLITS, DataSpec, PreparedData, Split

SHOWN, SHOWN_PAIRS, SHOWN_CLASSES = 120, 40, 12
"""Likely errors, conflicts, and pairs of classes on the page, at most."""

SHOWN_ANYWAY = 24
"""Of the likeliest errors, also where fewer count as likely."""

_COLUMNS = ["id", "label", "sha256", "phash", "brightness", "contrast"]


def run(dataset: str) -> Path:
    """Look for wrong labels of ``dataset`` and return the page.

    Raises:
        UserError: its labels are no classes, it has too few examples, or the share of labels that are likely wrong is
            greater than ``suite.yaml`` allows.
    """
    settings = params.load().label_errors[dataset]
    data, general = PreparedData(prepared(dataset)), suite.load(suite_file(dataset)).general
    if not KINDS[data.spec.task].has_classes or data.spec.num_classes < 2:
        raise UserError(f"params.yaml: label_errors.{dataset}: the labels of this data set are no classes.")
    examples, split = out_of_fold.together(data)
    probabilities = out_of_fold.predict(examples, data.spec, settings.folds)
    found = confident.find(probabilities, examples.labels)
    twice = conflicts.find(manifest.read(ingested(dataset), _COLUMNS), general.near_duplicates)
    summary = _summary(dataset, data.spec, found, twice, settings.folds, general.label_errors)
    looked = _Looked(data.spec, examples, split, probabilities, found)
    order = np.argsort(found.given, kind="stable")
    with atomic.folder(label_errors(dataset)) as folder:
        _write(folder / "label_errors.csv", _ERRORS, (looked.row(place) for place in order))
        _write(folder / "conflicts.csv", Conflict._fields, twice)
        atomic.write_json(folder / "summary.json", summary)
        shown = [looked.suspect(place) for place in order[: min(SHOWN, max(SHOWN_ANYWAY, summary["likely"]))]]
        pairs = [looked.pair(one) for one in twice[:SHOWN_PAIRS]]
        (folder / "index.html").write_text(page.render(summary, shown, pairs))
    written = label_errors(dataset) / "index.html"
    if not summary["success"]:
        raise UserError(
            f"{dataset}: {found.share:.1%} of the labels are likely wrong, and {suite_file(dataset)}:"
            f" general.label_errors allows {general.label_errors:.1%}. All of it: {written}"
        )
    return written


_ERRORS = ("id", "split", "label", "suggested", "probability", "suggested_probability", "likely")


class _Looked:
    """Examples with what was found of their labels."""

    def __init__(
        self, spec: DataSpec, examples: Split, split: np.ndarray, probabilities: np.ndarray, found: Findings
    ) -> None:
        self._spec, self._examples, self._split = spec, examples, split
        self._probabilities, self._found = probabilities, found
        self._place = {id: place for place, id in enumerate(examples.ids)}

    def row(self, place: int) -> tuple[Any, ...]:
        """Return the row of ``label_errors.csv`` of an example."""
        label, suggested = int(self._examples.labels[place]), int(self._found.suggested[place])
        given, other = (f"{self._probabilities[place, one]:.4f}" for one in (label, suggested))
        names = self._spec.classes[label], self._spec.classes[suggested]
        where = self._examples.ids[place], SPLITS[self._split[place]]
        return *where, *names, given, other, int(self._found.is_likely[place])

    def suspect(self, place: int) -> Suspect:
        """Return an example with its picture and what its label more likely is."""
        label, suggested = int(self._examples.labels[place]), int(self._found.suggested[place])
        given, other = (float(self._probabilities[place, one]) for one in (label, suggested))
        return Suspect(self._shown(place), self._spec.classes[suggested], given, other)

    def pair(self, one: Conflict) -> tuple[Shown, Shown, str]:
        """Return the pictures of a conflict, and how alike they are."""
        alike = "the same bytes" if one.is_same else f"hashes differ in {one.bits} of 64 bits"
        return self._shown(self._place[one.first]), self._shown(self._place[one.second]), alike

    def _shown(self, place: int) -> Shown:
        return Shown(
            page.picture(self._examples.images[place]),
            self._examples.ids[place],
            SPLITS[self._split[place]],
            self._spec.classes[self._examples.labels[place]],
        )


def _summary(
    dataset: str, spec: DataSpec, found: Findings, twice: Sequence[Conflict], folds: int, bound: float | None
) -> dict[str, Any]:
    off = found.joint.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:SHOWN_CLASSES]
    pairs = [(label, true) for label, true in zip(*np.unravel_index(order, off.shape), strict=True)]
    return {
        "dataset": dataset,
        "data": spec.sha256,
        "examples": len(found.given),
        "folds": folds,
        "likely": int(found.is_likely.sum()),
        "share": found.share,
        "conflicts": len(twice),
        "bound": bound,
        "success": bound is None or found.share <= bound,
        "pairs": [
            {
                "label": spec.classes[label],
                "suggested": spec.classes[true],
                "examples": float(off[label, true]),
            }
            for label, true in pairs
            if off[label, true] > 0
        ],
    }


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    main(run)
