"""Files by their paths as text.

A ``Path`` keeps each of its parts as a string of its own, in a table that stays as large as it ever was: of many files
that is most of what a listing takes, and of small ones some of the time.
"""

from __future__ import annotations

import os
from pathlib import Path


def status(path: str | Path) -> os.stat_result:
    """Return what the file system says of a file.

    Raises:
        OSError: there is none, or it may not be looked at.
    """
    return os.stat(path)  # noqa: PTH116 - a Path is what this avoids


def content(path: str | Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - a Path is what this avoids
        return file.read()
