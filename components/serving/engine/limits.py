"""What a model takes and what it may answer: checked before and after each computation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from components.bundles.bundle import Bundle
from components.bundles.signature import Arrays, Predict, Tensor
from components.serving.request_error import Reason, RequestError
from components.serving.settings import ModelSettings
from data.errors import first_line

MAX_TEXT = 1000
"""Characters of a text. Every row gets the place that the longest needs, word by word: a long one would fill memory."""

_DTYPES = {
    "uint8": np.dtype(np.uint8),
    "int64": np.dtype(np.int64),
    "float32": np.dtype(np.float32),
    "string": np.dtype(object),
}


def check_inputs(bundle: Bundle, inputs: Mapping[str, np.ndarray], settings: ModelSettings) -> None:
    """Check the inputs of one request.

    Raises:
        RequestError: a tensor is missing, too many or of another kind than the model's, holds NaN or an infinity,
            or is more than one request may ask for; or a text is too long (INVALID).
    """
    wanted = bundle.graph.inputs
    if inputs.keys() != bundle.graph.input_names:
        names = ", ".join(tensor.name for tensor in wanted)
        raise RequestError(Reason.INVALID, f"the inputs are {names}, not {', '.join(inputs) or 'none'}")
    rows = None
    for tensor in wanted:
        values = inputs[tensor.name]
        _check(tensor, values)
        if tensor.shape[:1] == (-1,):
            if rows is not None and len(values) != rows:
                raise RequestError(
                    Reason.INVALID, f"input {tensor.name!r}: {len(values)} rows where another has {rows}"
                )
            rows = len(values)
    if "count" in inputs:
        rows = int(inputs["count"][0])
        if rows < 1:
            raise RequestError(Reason.INVALID, f"input 'count': {rows}: at least 1")
    if rows is not None:
        check_rows(rows, settings)
    if "label" in inputs:
        label, classes = int(inputs["label"][0]), len(bundle.description["classes"])
        if not -1 <= label < classes:
            raise RequestError(
                Reason.INVALID,
                f"input 'label': {label}: from 0 to {classes - 1}, or -1 for every class in turn",
            )


def check_rows(rows: int, settings: ModelSettings) -> None:
    """Check how many rows, or images, one request asks for.

    Raises:
        RequestError: more than one may (INVALID).
    """
    if rows > settings.max_rows:
        raise RequestError(Reason.INVALID, f"{rows} rows in one request; at most {settings.max_rows}")


def checked(name: str, predict: Predict) -> Predict:
    """Return ``predict`` with a check of what it answers: NaN is no answer (:class:`RequestError`, FAILED)."""

    def predict_and_check(inputs: Mapping[str, np.ndarray]) -> Arrays:
        outputs = predict(inputs)
        for output, values in outputs.items():
            if values.dtype.kind == "f" and np.isnan(values).any():
                raise RequestError(Reason.FAILED, f"{name} gave no number for {output!r}")
        return outputs

    return predict_and_check


def failure(name: str, error: Exception) -> RequestError:
    """Return how a computation that failed is told: as the request's fault where ONNX Runtime says so."""
    if type(error).__name__ == "InvalidArgument":
        return RequestError(Reason.INVALID, f"{name} cannot compute this: {first_line(error)}")
    return RequestError(Reason.FAILED, f"{name} failed: {type(error).__name__}")


def _check(tensor: Tensor, values: np.ndarray) -> None:
    # As Tensor.takes, which spells the dtype each time.
    fits = values.ndim == len(tensor.shape) and values.dtype == _DTYPES[tensor.dtype]
    for wanted, length in zip(tensor.shape, values.shape, strict=False):
        fits = fits and wanted in (-1, length)
    if not fits:
        told = f"is {tensor.dtype} {list(tensor.shape)} (-1: any)"
        given = "string" if values.dtype == object else values.dtype
        raise RequestError(Reason.INVALID, f"input {tensor.name!r} {told}, not {given} {list(values.shape)}")
    if not values.size:
        raise RequestError(Reason.INVALID, f"input {tensor.name!r}: is empty")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise RequestError(Reason.INVALID, f"input {tensor.name!r}: holds NaN or an infinity")
    if values.dtype.kind == "O" and (longest := max(map(len, values.flat))) > MAX_TEXT:
        raise RequestError(
            Reason.INVALID, f"input {tensor.name!r}: a text of {longest} characters; at most {MAX_TEXT}"
        )
