"""DVC's run cache, one stage of it: what a stage is, and which outs it had when somebody ran it.

``dvc pull --run-cache`` and ``dvc repro --pull`` would bring the whole of it, a file for each run of any stage ever.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import UserError
from flows.remote_stages.storage import Storage

if TYPE_CHECKING:
    from dvc.repo import Repo


def key(repo: Repo, stage: str) -> str:
    """Return what tells ``stage`` from all others: the SHA-256 of its command, deps, params and the paths of its outs.

    Raises:
        UserError: it is none that DVC's run cache takes.
    """
    from dvc.stage.cache import _can_hash, _get_stage_hash

    found = repo.stage.load_one(name=stage)
    found.save_deps()
    if not _can_hash(found):
        raise UserError(
            f"dvc.yaml: {stage}: DVC's run cache does not take it, so it runs at the head only: it has no deps or no "
            "outs, or an out that persists or lies outside of the project."
        )
    return _get_stage_hash(found)


def find(storage: Storage, key: str, file: Path) -> dict[str, Any] | None:
    """Return the part of ``dvc.lock`` of a stage that somebody ran; None where nobody did.

    Args:
        storage: the remote.
        key: of the stage, from :func:`key`.
        file: where to write what is found.
    """
    import yaml

    for name in storage.names(_folder(key)):
        if storage.get(f"{_folder(key)}/{name}", file):
            return yaml.safe_load(file.read_text())
    return None


def publish(storage: Storage, repo: Repo, key: str, entry: dict[str, Any]) -> None:
    """Tell all others of the outs of a stage, which are on the remote by now.

    Args:
        storage: the remote.
        repo: the workspace, in which DVC ran the stage or restored it.
        key: of the stage, from :func:`key`.
        entry: its part of ``dvc.lock``.
    """
    from dvc.stage.cache import _get_cache_hash

    value = _get_cache_hash(entry)
    file = Path(repo.stage_cache.cache_dir, key[:2], key, value)
    storage.put(file, f"{_folder(key)}/{value}")


def _folder(key: str) -> str:
    return f"runs/{key[:2]}/{key}"
