"""Single values in the JSON of a request: what is a boolean, and what is a whole number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.serving.request_error import Reason, RequestError

EXACT = 2**53
"""Whole numbers below it are exact when they are written as floats."""


def boolean_of(values: Mapping[str, Any], key: str, default: bool, what: str) -> bool:
    """Return the boolean ``key`` of ``values``, or ``default`` where it is not given.

    Raises:
        RequestError: it is something else, such as the text ``"false"``; ``what`` says of what it is a key (INVALID).
    """
    value = values.get(key)
    if value is None:
        return default
    if type(value) is not bool:
        raise RequestError(Reason.INVALID, f"{what}: {key} is true or false, not {value!r}")
    return value


def whole_number(value: Any) -> int | None:
    """Return a number without a fraction as ``int``, also one that is written ``5.0``; None where it is another."""
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer() and abs(value) < EXACT:
        return int(value)
    return None
