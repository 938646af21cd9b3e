"""A server as a child of another program: it announces itself in a line of JSON, and ends when its parent does."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO


def start(
    command: Sequence[str | Path], folder: str | Path, environment: Mapping[str, str], log: IO[str]
) -> subprocess.Popen[str]:
    """Start ``command`` in ``folder``; what it announces comes from ``stdout``, and it ends with its ``stdin``."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
