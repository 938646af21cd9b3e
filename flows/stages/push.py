"""Pushing what a run made to the DVC remote, so that any clone can pull it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from data.errors import UserError


def push(log: Path) -> None:
    """Push what ``dvc.lock`` names and the cache has to the default remote of ``.dvc/config``.

    Not stage by stage: for each that is named DVC reads all of ``dvc.lock`` twice, which took half a minute for 74.
    What an earlier run could not push is pushed as well.

    Raises:
        UserError: the remote refused or could not be reached.
    """
    with log.open("w") as output:
        # Not --quiet: that would leave the reason of a failure out, too.
        command = [sys.executable, "-m", "dvc", "push"]
        status = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ).returncode
    if status != 0:
        printed = log.read_text(errors="replace").strip().splitlines()
        reasons = [line for line in printed if line.startswith("ERROR:")] or printed[-3:]
        raise UserError(f".dvc/config: the DVC remote took no push: {' '.join(reasons)}\nLog: {log}")
