"""Pushing what a run made to the DVC remote, so that any clone can pull it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from data.errors import UserError


def push(stages: Iterable[str], log: Path) -> None:
    """Push the outs of ``stages`` to the default remote of ``.dvc/config``.

    Raises:
        UserError: the remote refused or could not be reached.
    """
    with log.open("w") as output:
        # Not --quiet: that would leave the reason of a failure out, too.
        command = [sys.executable, "-m", "dvc", "push", *stages]
        status = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ).returncode
    if status != 0:
        printed = log.read_text(errors="replace").strip().splitlines()
        reasons = [line for line in printed if line.startswith("ERROR:")] or printed[-3:]
        raise UserError(f".dvc/config: the DVC remote took no push: {' '.join(reasons)}\nLog: {log}")
