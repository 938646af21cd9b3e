"""One table over the models of a data set that tell how likely images are, or draw new ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from components.pipelines import tasks
from components.report_page.model import ModelSheet

JUDGED = (
    "frechet_distance",
    "frechet_distance_test",
    "kernel_distance",
    "precision",
    "recall",
    "classes_covered",
    "class_agreement",
    "augmented_accuracy",
)
"""What follows from a judge's features and classes: it compares only among models of one judge."""

_ANYHOW = ("bits_per_dim", "memorised", "filling_error")


@dataclass(frozen=True)
class Table:
    """The generative models of a data set.

    Attributes:
        dataset: its name.
        judge: SHA-256 of its present judge; None without one.
        columns: metrics that at least one of the models has.
        rows: anchor of the model's section, its name, and its metrics; None under what another judge measured.
    """

    dataset: str
    judge: str | None
    columns: list[str]
    rows: list[tuple[str, str, dict[str, dict[str, Any] | None]]]


def tables(models: Iterable[ModelSheet]) -> list[Table]:
    """Return a table for each data set that has more than one such model measured."""
    by_dataset: dict[str, list[ModelSheet]] = {}
    for model in models:
        if model.task and tasks.of(model.task).USAGE.generative:
            by_dataset.setdefault(model.data.name, []).append(model)
    return [_table(dataset, found) for dataset, found in by_dataset.items() if len(found) > 1]


def _table(dataset: str, models: list[ModelSheet]) -> Table:
    judge = models[0].data.judge
    rows = [(model.anchor, model.name, _comparable(model, judge)) for model in models]
    order = (_ANYHOW[0], *JUDGED, *_ANYHOW[1:])
    columns = [metric for metric in order if any(metric in metrics for *_, metrics in rows)]
    return Table(dataset, judge, columns, rows)


def _comparable(model: ModelSheet, judge: str | None) -> dict[str, dict[str, Any] | None]:
    foreign = model.judge is not None and model.judge != judge
    return {
        metric: None if foreign and metric in JUDGED else values
        for metric, values in model.measured["metrics"].items()
    }
