"""Mistakes that a user can mend, told in one message and never with a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave: a file, a key, a setting, a name.

    The message names the file, the key and the nearest valid value, so that it can be mended without
    reading code. Every command prints it alone and exits with 2.
    """


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, and of one without a message its kind."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean 'x'? It can be: a, b, c.`` for an unknown word, ready to end a message."""
    choices = sorted(choices)
    close = difflib.get_close_matches(str(word), choices, n=1, cutoff=0.5)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"{guess} It can be: {', '.join(choices) or 'nothing yet'}."
