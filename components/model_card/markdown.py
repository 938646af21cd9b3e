"""How names, numbers and what people wrote stand in Markdown, in tables too."""

from __future__ import annotations

import re
from typing import Any

_MARKS = re.compile(r"([\\`*_\[\]<>|#~&])")


def plain(value: object) -> str:
    """Return a text on one line whose characters mean nothing to Markdown."""
    return _MARKS.sub(r"\\\1", " ".join(str(value).split()))


def code(value: object) -> str:
    """Return a name, hash or setting as code."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    inner = f" {text} " if text.startswith("`") or text.endswith("`") else text
    return f"{fence}{inner}{fence}" if text else "none"


def number(value: Any) -> str:
    """Return a number with six digits that count, others as they are; a dash for None."""
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
