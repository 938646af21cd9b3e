"""Pushing what a run made to the DVC remote, so that any clone can pull it; what could not be pushed stays owed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from components.project import layout
from data import atomic
from data.errors import UserError
from flows.stages.fork_server.client import DVC
from flows.stages.verified_remotes import FILES

_PAID = layout.STATE / "pushed.json"
_LOCK = Path("dvc.lock")
_LACKING = "do not exist neither locally nor on remote"
"""How DVC warns, and ends well, where what it was to push is not there."""


class PushFailed(UserError):
    """The remote refused, could not be reached, or did not get everything. Another try may help."""


def is_owed() -> bool:
    """Whether the remote, as far as this folder knows, lacks something that ``dvc.lock`` names, whoever made it."""
    if not _LOCK.exists():
        return False
    try:
        return json.loads(_PAID.read_text()) != _due()
    except (FileNotFoundError, json.JSONDecodeError):
        return True


def push(log: Path) -> None:
    """Push what ``dvc.lock`` names and the cache has to the default remote of ``.dvc/config``.

    Not stage by stage: for each that is named DVC reads all of ``dvc.lock`` twice, which took half a minute for 74.
    What an earlier run could not push is pushed as well. Each object is hashed before it is sent.

    Raises:
        PushFailed: the remote refused, could not be reached, or did not get everything.
    """
    due = _due()
    if _LACKING not in _push(log, []):
        atomic.write_json(_PAID, due)


def push_stages(log: Path, names: list[str]) -> None:
    """Push the outs of some stages, for whoever needs them elsewhere before the run is over.

    Args:
        log: a file.
        names: of the stages, as DVC has them.

    Raises:
        PushFailed: the remote refused, could not be reached, or did not get everything.
    """
    if _LACKING in _push(log, names):
        raise PushFailed(f"{', '.join(names)}: the cache lacks some of their outs.\nLog: {log}")


def _push(log: Path, names: list[str]) -> str:
    """Push the outs of the stages ``names``, of all where there are none, and return what DVC printed."""
    with log.open("w") as output:
        # Not --quiet: that would leave the reason of a failure out, too.
        command = [sys.executable, "-m", DVC, "--wait-for-lock", "push", *names]
        status = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ).returncode
    printed = log.read_text(errors="replace")
    if status != 0:
        lines = printed.strip().splitlines()
        reasons = [line for line in lines if line.startswith("ERROR:")] or lines[-3:]
        raise PushFailed(f".dvc/config: the DVC remote took no push: {' '.join(reasons)}\nLog: {log}")
    return printed


def _due() -> dict[str, str]:
    """Return what tells one state of ``dvc.lock`` and of the remotes from another."""
    return {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in (_LOCK, *FILES) if file.exists()
    }
