"""Single values in the JSON of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.serving.request_error import Reason, RequestError


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
