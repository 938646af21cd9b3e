"""The command line of a stage: ``python -m components.<stage> <name>``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from components.project import inputs
from data.errors import UserError


def main(run: Callable[[str], Any]) -> None:
    """Call ``run`` with the one argument of the command line; a user's mistake ends with its message and 2.

    So does an edit of what the stage reads, while it ran.
    """
    if len(sys.argv) != 2:
        print(f"usage: python -m {run.__module__} NAME", file=sys.stderr)
        sys.exit(2)
    try:
        run(sys.argv[1])
        inputs.confirm()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
