"""``python -m flows.remote_stages.taking STAGE ENTRY``: takes over what a worker did, into the working directory.

``ENTRY`` is a file with the stage's part of ``dvc.lock``, as JSON. It is recorded as it is, with the deps that the
worker had: where one was edited here meanwhile, DVC says so. The outs come from the remote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from components.project import dvc_lock
from flows.stages import dvc_command, lock_entries


def take(stage: str, entry: dict) -> None:
    """Record ``entry`` as the part of ``stage`` in ``dvc.lock``, and bring its outs.

    Raises:
        DvcException: the remote does not give them.
    """
    from dvc.repo import Repo, lock_repo

    dvc_command.write_at_once()
    repo = Repo(".", _wait_for_lock=True)
    with lock_repo(repo):
        _record(stage, entry)
        repo.fetch([stage])
        repo.checkout([stage], force=True)


def _record(stage: str, entry: dict) -> None:
    from dvc.utils.serialize import dumps_yaml, modify_yaml

    try:
        lock_entries.merge(dvc_lock.split(dumps_yaml({"schema": "2.0", "stages": {stage: entry}})))
    except dvc_lock.NotAsWritten:  # edited, or with more in it than stages: DVC reads and writes the whole
        with modify_yaml("dvc.lock") as lock:
            lock.setdefault("schema", "2.0")
            lock.setdefault("stages", {})[stage] = entry


if __name__ == "__main__":
    take(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
