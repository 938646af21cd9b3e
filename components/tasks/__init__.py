"""What a task measures: one module per task, chosen by name, so that no stage knows any of them by itself.

A task works on the graph's inputs and outputs alone. Whoever answers, PyTorch in the evaluate stage or ONNX
Runtime in the export stage, the gate and a server, gives a :data:`Predict`, and the same functions measure
it. A task module has

=============  ============================================================================================
``TOLERANCES`` by output name, what ONNX Runtime may differ from PyTorch (:class:`Tolerance`)
``answer``     ``(predict, data) -> answers``: asks for everything that is measured, on the test split
``measure``    ``(answers, data) -> Measurement``
``scores``     ``(answers, data) -> float64 [N]``: the primary metric of each test example, for pairs; or, where
               it is no mean over examples, ``statistic``, ``(answers, data) -> Statistic``: of sets of them
``rows``       ``(answers, data) -> columns`` of ``examples.parquet`` besides ``id`` and ``label``; with these two
               where not every test example was asked for
``inputs``     ``(data, split, start, count) -> inputs``: real ones, for parity and golden examples
``signature``  ``(spec) -> (inputs, outputs)``: the graph's :class:`Tensor` s, in order
``draw``       ``(folder, answers, data, measured)``: writes the pictures
=============  ============================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

import numpy as np

from components.metrics.bootstrap import Interval

Arrays = dict[str, np.ndarray]
Predict = Callable[[Mapping[str, np.ndarray]], Arrays]
"""Graph inputs by name to graph outputs by name."""

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

DRAWING = ("generation", "text_to_image")
"""Those whose graphs are shown no picture and draw one, which a judge then looks at."""

VARIANTS = {("generation", "label"): "conditional_generation"}
"""By task and the name of an input that only some of its graphs have: the module for graphs that have it."""


@dataclass(frozen=True)
class Metric:
    """A metric with its 95 % interval and the direction in which it is better."""

    value: float
    low: float
    high: float
    better: Literal["higher", "lower"]

    @classmethod
    def of(cls, interval: Interval, better: Literal["higher", "lower"]) -> Metric:
        """Give ``interval`` a direction."""
        return cls(interval.value, interval.low, interval.high, better)


@dataclass(frozen=True)
class Measurement:
    """What ``metrics.json`` holds.

    Attributes:
        primary: the metric that versions are compared by.
        metrics: every metric by name.
        per_class: a row of numbers per class, each with ``class`` and ``examples``.
        judge: SHA-256 of the judge that looked at generated images; metrics of different judges do not compare.
    """

    primary: str
    metrics: dict[str, Metric]
    per_class: list[dict[str, Any]]
    judge: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, ``judge`` only where there is one."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Tensor:
    """An input or output of the graph: ``shape`` with -1 where the length is free."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def takes(self, values: np.ndarray) -> bool:
        """Whether ``values`` has this dtype and fits this shape."""
        lengths = zip(self.shape, values.shape, strict=False)
        fits = values.ndim == len(self.shape) and all(wanted in (-1, length) for wanted, length in lengths)
        return fits and ("string" if values.dtype == object else str(values.dtype)) == self.dtype

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Tensor:
        """Build from an entry of ``inputs`` or ``outputs`` in ``bundle.json``."""
        return cls(values["name"], values["dtype"], tuple(values["shape"]))


@dataclass(frozen=True)
class Tolerance:
    """Values agree when they differ by at most ``absolute + relative * |reference|``.

    A share of ``exceptions`` of them, at least one, may be off by any amount: where two choices are as good as each
    other, rounding decides.
    """

    absolute: float
    relative: float = 0.0
    exceptions: float = 0.0

    def __str__(self) -> str:
        share = f" + {self.relative:g} of the value" if self.relative else ""
        but = f", but for {self.exceptions:.0%}" if self.exceptions else ""
        return f"{self.absolute:g}{share}{but}"

    def to_json(self) -> dict[str, float]:
        """Return plain JSON values, ``exceptions`` only where there are some."""
        return {key: value for key, value in asdict(self).items() if key != "exceptions" or value}

    def compare(self, answer: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
        """Return the greatest difference, and the greatest in units of what is allowed: at most 1 agrees.

        Both are NaN when an answer is, which agrees with nothing.
        """
        reference = reference.astype(np.float64)
        difference = np.abs(answer.astype(np.float64) - reference)
        excess = difference / (self.absolute + self.relative * np.abs(reference))
        if not self.exceptions or np.isnan(excess).any():
            return float(difference.max()), float(excess.max())
        excepted = min(math.ceil(self.exceptions * excess.size), excess.size - 1)
        return tuple(float(np.sort(values, axis=None)[-1 - excepted]) for values in (difference, excess))


def of(name: str, inputs: Collection[str] = ()) -> ModuleType:
    """Return the module of task ``name``, one of :data:`TASKS`, for a graph whose inputs have these names.

    Without them it is the module for graphs that have only the inputs that every graph of the task has.
    """
    if name not in TASKS:
        raise ValueError(f"no task {name!r}: {', '.join(TASKS)}")
    variants = [module for (task, extra), module in VARIANTS.items() if task == name and extra in inputs]
    return import_module(f"components.tasks.{(variants or [name])[0]}")
