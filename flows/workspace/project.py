"""Finding the project that a command is meant for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from data.errors import UserError

CALLED_FROM = Path.cwd()
"""Where the command was called: the user's relative paths are meant from there."""


def enter() -> Path:
    """Change into the project's root, the nearest folder at or above this one with ``dvc.yaml`` and ``params.yaml``.

    Its own code is what runs, also where another checkout is installed.

    Raises:
        UserError: there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            os.chdir(folder)
            if sys.path[0] != str(folder):
                sys.path.insert(0, str(folder))
            return folder
    raise UserError(f"{here}: no Darkroom project here or above (no dvc.yaml beside a params.yaml).")
