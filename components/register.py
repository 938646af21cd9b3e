"""Registration: the exported bundle of a model becomes a version, once.

All that belongs to a version is written to an MLflow run first, and the version, with all its tags, is
created last and in one step. A registration that is killed leaves nothing that looks registered; the next
call finishes it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from components.bundles import bundle
from components.project import command, layout
from components.registry import locks, mlflow_store, version_record, versions
from components.registry.versions import BUNDLE_TAG, MODEL_PATH, Version
from data.errors import UserError

_ATTEMPTS = 20


@dataclass(frozen=True)
class Registration:
    """What :func:`run` did: the version of the present bundle, and whether this call created it."""

    name: str
    version: int
    bundle_sha256: str
    created: bool


def run(name: str) -> Registration:
    """Register the present bundle of model ``name`` once; it becomes the challenger unless it is champion.

    Raises:
        UserError: there is no bundle, it is not whole, or the store does not answer.
    """
    folder = layout.bundle(name)
    if not (folder / "bundle.json").exists():
        raise UserError(f"{folder}: no bundle there. Run the export stage first: darkroom run {name}")
    sha256 = bundle.sha256(folder)
    with locks.of_models(name):
        known = versions.model(name).of_bundle(sha256)
        number = None if known else _create(name, folder)
        version = known[0] if len(known) == 1 else _settle(name, sha256)
        version_record.trace(version)
        _point_challenger(name, version.number)
    return Registration(name, version.number, sha256, version.number == number)


def _create(name: str, folder: Path) -> int:
    """Write a new version and return its number."""
    opened = bundle.Bundle.open(folder)  # a damaged bundle stops here
    facts = opened.description
    if facts["name"] != name:
        raise UserError(f"{folder}/bundle.json: name: is the bundle of {facts['name']!r}, not of {name!r}.")
    tags = {BUNDLE_TAG: opened.sha256, **version_record.lineage(facts)}
    title, key = f"{name} {opened.sha256[:12]}", f"{name}:{opened.sha256}"
    with mlflow_store.whole_run(f"darkroom/{name}", key, title, tags) as run_id:
        version_record.log(run_id, name, folder, facts)
        _create_model(name)
        return _create_version(name, run_id, tags)


def _create_model(name: str) -> None:
    try:
        mlflow_store.client().create_registered_model(name)
    except mlflow_store.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _create_version(name: str, run_id: str, tags: dict[str, str]) -> int:
    source = f"{mlflow_store.client().get_run(run_id).info.artifact_uri}/{MODEL_PATH}"
    for attempt in count(1):
        try:
            return int(mlflow_store.client().create_model_version(name, source, run_id, tags=tags).version)
        except mlflow_store.MlflowException as error:
            # Many at once want the next number, and MLflow itself tries only three times.
            if attempt == _ATTEMPTS or error.error_code not in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"):
                raise
            time.sleep(random.uniform(0, 0.1 * attempt))


def _settle(name: str, sha256: str) -> Version:
    """Return the version of a bundle that counts, the lowest; delete others, made elsewhere meanwhile.

    Behind a tracking server the lock holds within a workspace only. There, whoever creates a version lists those of
    the same bundle afterwards. Numbers are given one by one, so the creator of the lowest never sees a lower one,
    and all others do.
    """
    first, *others = versions.model(name).of_bundle(sha256)
    for other in others:
        with _gone_already():
            mlflow_store.client().delete_model_version(name, str(other.number))
        with _gone_already():
            mlflow_store.client().delete_run(other.run_id)
    return first


@contextmanager
def _gone_already() -> Iterator[None]:
    """Let pass that something is deleted already: its creator, too, is settling."""
    try:
        yield
    except mlflow_store.MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise


def _point_challenger(name: str, number: int) -> None:
    aliases = versions.aliases(name)
    if aliases.get("champion") == number:
        if "challenger" in aliases:
            mlflow_store.client().delete_registered_model_alias(name, "challenger")
    elif aliases.get("challenger") != number:
        versions.point(name, "challenger", number)


if __name__ == "__main__":
    command.main(run)
