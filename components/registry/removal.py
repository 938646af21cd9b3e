"""Removing versions that do not stay, and what their runs hold: what names something goes before what it names.

A version goes first, then the artifacts of its run, then the run. So a removal that is killed leaves runs that no
version names, and the next one finds them.
"""

from __future__ import annotations

import getpass
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from mlflow.entities import Run
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.uri import is_local_uri

from components.project.sections import GcPolicy
from components.registry import artifact_places, ledger, mlflow_store, store_address
from components.registry.ledger import Entry
from components.registry.retention import DAY_MS, Retention
from components.registry.versions import BUNDLE_TAG, Model, Version
from data.errors import UserError

_AT_ONCE = 16
"""Requests to a place of artifacts elsewhere."""


def unneeded(
    runs: Sequence[Run], model: Model, retention: Retention, policy: GcPolicy, now_ms: int
) -> list[Run]:
    """Return those ``runs``, of registrations of ``model``, whose version does not stay, or was deleted by somebody.

    Those that are younger than the policy's days stay, and those whose artifacts another machine alone can reach.
    """
    kept = {version.run_id for version in retention.kept(model)}
    bundles = retention.bundles(model)
    oldest = now_ms - policy.keep_days * DAY_MS
    return [
        run
        for run in runs
        if run.info.run_id not in kept
        and run.data.tags.get(BUNDLE_TAG) not in bundles
        and run.info.start_time <= oldest
        and _is_in_reach(run.info.artifact_uri)
    ]


def remove(model: Model, gone: Sequence[Version], runs: Sequence[Run], policy: GcPolicy) -> None:
    """Remove the versions ``gone`` of ``model``, then ``runs`` with their artifacts; the ledger keeps which, and why.

    Call it under the model's lock.

    Raises:
        UserError: a version was given an alias meanwhile, from another machine.
    """
    earlier = [entry for entry in ledger.history(model.name) if entry.kind == "collection"]
    key = f"{model.name}:collection:{len(earlier)}"
    there = {version.number for version in model.versions}
    # What a collection that was killed had removed is told with the rest.
    told = [one for one in ledger.interrupted(key).get("versions", ()) if one["version"] not in there]
    told += [{"version": v.number, "bundle_sha256": v.bundle_sha256, "run": v.run_id} for v in gone]
    if not told:
        _remove_runs(runs)
        return
    removed = f"removed: {spans([one['version'] for one in told])}"
    entry = Entry(
        kind="collection",
        model=model.name,
        version=0,
        bundle_sha256="",
        champion=None,
        reasons=(
            removed,
            f"not in use, not among the last {policy.keep_versions}, older than {policy.keep_days:g} days",
        ),
        by=getpass.getuser(),
    )
    with ledger.recording(entry, key, {"versions": told, "policy": policy.model_dump(mode="json")}):
        for version in gone:
            _remove_version(version)
        _remove_runs(runs)


def sizes(runs: Sequence[Run]) -> list[int]:
    """Return how many bytes the artifacts of each run take."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(lambda run: _size(run.info.artifact_uri), runs))


def spans(numbers: Collection[int]) -> str:
    """Return numbers as people write them: ``1-7, 9``."""
    rows = [list(row) for _, row in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{row[0][1]}-{row[-1][1]}" if len(row) > 1 else f"{row[0][1]}" for row in rows)


def _remove_version(version: Version) -> None:
    if not artifact_places.is_embedded(store_address.uri()):  # others may not know of the lock
        found = mlflow_store.client().get_model_version(version.name, str(version.number))
        if found.aliases:
            raise UserError(
                f"{version.name} version {version.number}: became {found.aliases[0]} meanwhile. Ask again what is to "
                "stay: darkroom gc --dry-run"
            )
    mlflow_store.delete_version(version.name, version.number)


def _remove_runs(runs: Sequence[Run]) -> None:
    for run in runs:
        place = run.info.artifact_uri
        if not is_local_uri(place):
            _repository(place).delete_artifacts()
        elif (folder := _folder(place)).parent.exists():
            _repository(place).delete_artifacts()
            folder.parent.rmdir()  # the run's, which MLflow leaves
        mlflow_store.client().delete_run(run.info.run_id)


def _is_in_reach(place: str) -> bool:
    return artifact_places.is_shared(place) or artifact_places.is_here(place)


def _size(place: str) -> int:
    if is_local_uri(place):
        return sum(file.stat().st_size for file in _folder(place).rglob("*") if file.is_file())
    return _listed_size(_repository(place), None)


def _listed_size(repository: ArtifactRepository, path: str | None) -> int:
    found = repository.list_artifacts(path)
    return sum(_listed_size(repository, one.path) if one.is_dir else one.file_size or 0 for one in found)


def _folder(place: str) -> Path:
    return Path(place.removeprefix("file://"))


def _repository(place: str) -> ArtifactRepository:
    return get_artifact_repository(place, tracking_uri=store_address.uri())
