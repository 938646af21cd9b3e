"""``python -m flows.remote_stages.taking STAGE ENTRY``: takes over what a worker did, into the working directory.

``ENTRY`` is a file with the stage's part of ``dvc.lock``, as JSON. It is recorded as it is, with the deps that the
worker had: where one was edited here meanwhile, DVC says so. The outs come from the remote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from flows.stages import dvc_command


def take(stage: str, entry: dict) -> None:
    """Record ``entry`` as the part of ``stage`` in ``dvc.lock``, and bring its outs.

    Raises:
        DvcException: the remote does not give them.
    """
    from dvc.repo import Repo, lock_repo
    from dvc.utils.serialize import modify_yaml

    dvc_command.write_at_once()
    repo = Repo(".", _wait_for_lock=True)
    with lock_repo(repo):
        with modify_yaml("dvc.lock") as lock:
            lock.setdefault("schema", "2.0")
            lock.setdefault("stages", {})[stage] = entry
        repo.fetch([stage])
        repo.checkout([stage], force=True)


if __name__ == "__main__":
    take(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
