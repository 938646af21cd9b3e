"""An event that people are told of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from components.project.sections import AlertKind

Kind = AlertKind | Literal["test"]

SEVERITY: dict[Kind, str] = {
    "failure": "failure",
    "refusal": "warning",
    "approval": "info",
    "promotion": "success",
    "rollback": "warning",
    "not_served": "failure",
    "trial": "warning",
    "labels": "info",
    "schedule": "failure",
    "test": "info",
}
"""How receivers that know colours show it, in apprise's words."""


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        key: names it and nothing else: two events of one key are one.
        kind: what happened.
        title: one line.
        text: all that is known, a line each.
    """

    key: str
    kind: Kind
    title: str
    text: str = ""

    @property
    def id(self) -> str:
        """What receivers know it by: 16 hexadecimal digits."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:16]
