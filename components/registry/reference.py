"""How people name a version: ``NAME``, ``NAME@ALIAS``, ``NAME@NUMBER``, or ``models:/NAME/NUMBER`` as MLflow has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from data.errors import UserError

GRAMMAR = "NAME, NAME@champion, NAME@3 or NAME/3"
"""What a message says that can be given."""

_SPELLED = re.compile(r"(?:models:/)?(?P<name>[^@/:]+)(?:@(?P<alias>[^@/:]+)|/(?P<number>\d+))?")


@dataclass(frozen=True)
class Reference:
    """A model, and its version by ``alias`` or by ``number``; where both are None the command says which is meant."""

    name: str
    alias: str | None = None
    number: int | None = None


def parse(text: str) -> Reference:
    """Read what somebody gave as a model or a version of it.

    Raises:
        UserError: it is neither.
    """
    match = _SPELLED.fullmatch(text)
    if match is None:
        raise UserError(f"{text}: names no model and no version of one. Give {GRAMMAR}.")
    name, alias, number = match.group("name", "alias", "number")
    if alias is not None and alias.isdecimal():  # MLflow has aliases for names alone
        alias, number = None, alias
    return Reference(name, alias, None if number is None else int(number))
