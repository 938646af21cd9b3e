"""What git tells of the project."""

from __future__ import annotations

import os
import re
import subprocess

from data.errors import UserError


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
