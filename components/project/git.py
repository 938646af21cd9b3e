"""What git tells of the project."""

from __future__ import annotations

import os
import re
import subprocess

from components.project import params
from data.errors import UserError

WRITTEN_BY_RUNS = ("dvc.lock", str(params.FILE), ".dvc/config")
"""Files that are no code: two are registered with a version, the last says where DVC stores, and how it verifies."""


def ask(*arguments: str) -> str | None:
    """Return what ``git`` prints; None where there is no git, no repository, or nothing of what is asked for.

    Raises:
        UserError: git tells nothing of a folder that belongs to another user.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            env={**os.environ, "LC_ALL": "C"},  # its messages are read
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    if done.returncode == 0:
        return done.stdout.strip()
    if "dubious ownership" in done.stderr:
        mend = re.search(r"git config --global --add safe\.directory .*", done.stderr)
        raise UserError(
            "git calls this folder dubious, since it belongs to another user. Where you trust it: "
            f"{mend[0] if mend else 'git config --global --add safe.directory FOLDER'}"
        )
    return None


def is_changed() -> bool:
    """Whether the project has what is not committed, besides :data:`WRITTEN_BY_RUNS`; so where git tells nothing."""
    left_out = (f":(exclude){file}" for file in WRITTEN_BY_RUNS)
    return ask("status", "--porcelain", "--", ".", *left_out) != ""
