"""``python -m flows.stages.dvc_command ARGUMENTS``: DVC, which passes a request to end on to the command of its stage.

DVC itself would end at once and leave that command running. When the command ends instead, DVC sees it fail, leaves its
own files whole, and ends.
"""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run ``dvc`` with this process's arguments."""
    signal.signal(signal.SIGTERM, _end_commands)
    from dvc.cli import main

    sys.exit(main(sys.argv[1:]))


def _end_commands(*_: object) -> None:
    import psutil

    for command in psutil.Process().children(recursive=True):
        try:
            command.terminate()
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    main()
