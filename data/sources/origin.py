"""Where an image comes from, as metadata or COCO's JSON tell: what it belongs to, and when it was made.

Tools write the same keys for other ends, so what is not of the form is of no account until splits are made by it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from data.errors import UserError
from data.spec import Splits

_TIMES = ("time", "date_captured")
"""Keys of the time; the second is COCO's."""

_FORMS = {
    "group": "a text or a whole number",
    "time": "as 2026-11-30 or 2026-11-30T14:05:00+01:00; without a zone it is in UTC",
}


def group(values: Mapping[str, Any]) -> str | None:
    """Return what an image belongs to; None where it is missing, or no text and no whole number."""
    value = values.get("group")
    return (
        str(value) if isinstance(value, int | str) and not isinstance(value, bool) and value != "" else None
    )


def time(values: Mapping[str, Any]) -> str | None:
    """Return when an image was made, as it is written; None where no key has a text."""
    return next((values[key] for key in _TIMES if isinstance(values.get(key), str) and values[key]), None)


def metadata(where: str, values: Mapping[str, Any], names: Sequence[str]) -> tuple[str | None, ...]:
    """Return the values of the columns ``names`` as texts, in their order; None where one is missing or empty.

    Raises:
        UserError: one is a list or a mapping; the message begins with ``where``.
    """
    return tuple(_text(f"{where}: {name}", values.get(name)) for name in names)


def columns(file: str, group: str | None, time: str | None, splits: Splits) -> dict[str, Any]:
    """Return the columns of the manifest by which splits are made: ``group``, and ``time`` in UTC.

    Raises:
        UserError: metadata do not tell what is needed of ``file``.
    """
    told = {"group": group, "time": _parsed(time)}
    for name in splits.columns:
        if told[name] is None:
            key = "by: group" if name == "group" else "test_weeks"
            raise UserError(
                f"{file}: splits.{key} of dataset.yaml needs its {name!r}, and "
                f"{f'{time!r} is none' if name == 'time' and time else 'no metadata give one'}: {_FORMS[name]}."
            )
    return {name: told[name] for name in splits.columns}


def _text(where: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        # Letters with accents can be written as one character or as two: they become one.
        return unicodedata.normalize("NFC", value).strip() or None if value else None
    if not isinstance(value, bool | int | float):
        raise UserError(
            f"{where} {json.dumps(value)} is in no slice: write a text, a number, or true or false."
        )
    return json.dumps(value)


def _parsed(time: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(time) if time else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
