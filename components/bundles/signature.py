"""What a graph takes and gives: tensors by name, who answers, and how near to each other two answers must be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from data.prepared import DataSpec

Arrays = dict[str, np.ndarray]
Predict = Callable[[Mapping[str, np.ndarray]], Arrays]
"""Graph inputs by name to graph outputs by name."""


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


def image_tensor(spec: DataSpec) -> Tensor:
    """Return the image tensor of ``spec`` with a free batch."""
    return Tensor("image", "uint8", (-1, *spec.shape))
