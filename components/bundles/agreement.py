"""What the exported graph must give as PyTorch gave it, example by example."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.bundles.signature import Tolerance


class Disagreement(ValueError):
    """The two do not agree; the message says in what."""


@dataclass(frozen=True)
class Agreement:
    """Two arrays of a number for each example, which must agree.

    Attributes:
        column: the column of ``examples.parquet``.
        what: the same for people, as in "the confidence".
        answer: by ONNX Runtime.
        reference: by PyTorch.
        tolerance: of their differences.
    """

    column: str
    what: str
    answer: np.ndarray
    reference: np.ndarray
    tolerance: Tolerance
