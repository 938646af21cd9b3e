"""What a task measures: one module per task, chosen by name, so that no stage knows any of them by itself.

A task works on the graph's inputs and outputs alone. Whoever answers, PyTorch in the evaluate stage or ONNX
Runtime in the export stage, the gate and a server, gives a :data:`Predict`, and the same functions measure
it. :class:`Task` says what a module has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Predict, Tensor, Tolerance
from components.evaluation.hooks import Hook
from components.metrics.measurement import Measurement
from components.metrics.paired import Comparable
from data.prepared import DataSpec, PreparedData

TASKS = (
    "classification",
    "density",
    "generation",
    "translation",
    "reenactment",
    "detection",
    "segmentation",
    "transcription",
    "text_to_image",
    "controlled_generation",
)

VARIANTS = {("generation", "label"): "conditional_generation"}
"""By task and the name of an input that only some of its graphs have: the module for graphs that have it."""


class Task(Protocol):
    """A module of this folder.

    Attributes:
        TOLERANCES: by output name, what ONNX Runtime may differ from PyTorch.
        COMPARED_BY_JUDGE: whether the data set's judge scores what the gate compares: its decisions then depend on it.
        METRICS: the names of all that it can measure, for the gate's thresholds.
        HOOKS: the functions of families that it has a use for.
    """

    TOLERANCES: Mapping[str, Tolerance]
    COMPARED_BY_JUDGE: bool
    METRICS: Sequence[str]
    HOOKS: Mapping[str, Hook]

    def signature(self, spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
        """Return inputs and outputs of the exported graph, in order."""

    def inputs(self, data: PreparedData, split: str, start: int, count: int) -> Arrays:
        """Return real inputs, for parity and golden examples."""

    def answer(self, predict: Predict, data: PreparedData) -> Arrays:
        """Ask for everything that is measured, on the test split.

        Raises:
            ValueError: an answer is not finite.
        """

    def extend(self, answers: Arrays, data: PreparedData) -> Arrays:
        """Return what the evaluate stage alone measures besides ``answers``."""

    def measure(self, answers: Arrays, data: PreparedData) -> Measurement:
        """Return the metrics."""

    def rows(self, answers: Arrays, data: PreparedData) -> Mapping[str, np.ndarray]:
        """Return columns of ``examples.parquet``; ``id`` and ``label`` too where not every example is asked for."""

    def draw(self, folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
        """Write the pictures."""

    def agreements(
        self, answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData
    ) -> Iterator[Agreement]:
        """Yield what the exported graph's ``answers`` must have in common with the ``columns`` of the examples.

        Raises:
            Disagreement: they have not.
        """

    def paired(self, answers: Arrays, data: PreparedData) -> Sequence[Comparable]:
        """Return what the gate compares two models by, the primary metric first."""


def of(name: str, inputs: Collection[str] = ()) -> Task:
    """Return the module of task ``name``, one of :data:`TASKS`, for a graph whose inputs have these names.

    Without them it is the module for graphs that have only the inputs that every graph of the task has.
    """
    if name not in TASKS:
        raise ValueError(f"no task {name!r}: {', '.join(TASKS)}")
    variants = [module for (task, extra), module in VARIANTS.items() if task == name and extra in inputs]
    return cast(Task, import_module(f"components.tasks.{(variants or [name])[0]}"))
