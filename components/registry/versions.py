"""The registry: which versions each model has, which is champion, and their bundles.

A version is known by its bundle's SHA-256, which it carries as a tag. Aliases say what a version is for:
``challenger`` (to be decided on), ``champion`` (served), ``previous`` (where a rollback goes).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.bundles.bundle import Bundle
from components.project.layout import STATE
from components.registry import bundle_copies, locks, mlflow_store
from components.registry.mlflow_store import quoted
from components.registry.reference import Reference
from data.errors import UserError, first_line, nearest

BUNDLE_TAG = "bundle_sha256"

MODEL_PATH = "model"
"""Folder of a version's artifacts that ``models:/NAME@champion`` loads; the bundle lies in it."""


@dataclass(frozen=True)
class Version:
    """A registered version: its model, number, MLflow run and tags, and when it was registered (Unix time, ms)."""

    name: str
    number: int
    run_id: str
    tags: dict[str, str]
    registered_ms: int = 0

    @property
    def bundle_sha256(self) -> str:
        """Identity of the bundle; empty when the version was registered by other means."""
        return self.tags.get(BUNDLE_TAG, "")


@dataclass(frozen=True)
class Model:
    """A registered model: its versions by ascending number, and the version number of each alias."""

    name: str
    versions: tuple[Version, ...] = ()
    aliases: dict[str, int] = field(default_factory=dict)

    def version(self, number: int | None) -> Version | None:
        """Return version ``number``, or None where there is none."""
        return next((version for version in self.versions if version.number == number), None)

    def alias(self, alias: str) -> Version | None:
        """Return the version that ``alias`` points to, or None."""
        return self.version(self.aliases.get(alias))

    def of_bundle(self, sha256: str) -> list[Version]:
        """Return the versions of one bundle, lowest number first: that one counts, others are about to go."""
        return [version for version in self.versions if version.bundle_sha256 == sha256]

    def find(self, number: int | None = None) -> Version:
        """Return version ``number``; without a number the challenger, and without one the champion.

        Raises:
            UserError: nothing is registered under that name or number.
        """
        if not self.versions:
            others = ", ".join(sorted(snapshot())) or "none yet"
            raise UserError(f"{self.name}: no registered model of that name. Registered models: {others}.")
        waiting = self.alias("challenger") or self.alias("champion")
        found = waiting if number is None else self.version(number)
        if found is None:
            numbers = ", ".join(str(version.number) for version in self.versions)
            missing = "no challenger and no champion" if number is None else f"no version {number}"
            raise UserError(f"{self.name}: {missing}. Its versions: {numbers}.")
        return found


def snapshot() -> dict[str, Model]:
    """Return every registered model by name, in two queries."""
    return _read(None)


def model(name: str) -> Model:
    """Return the registered model ``name``; one without versions when nothing was registered yet."""
    return _read(name).get(name, Model(name))


def champion(name: str) -> Version | None:
    """Return the version that is served, or None when none was promoted yet."""
    return model(name).alias("champion")


def aliases(name: str) -> dict[str, int]:
    """Return the version number of each alias of a registered model ``name``."""
    found = mlflow_store.client().get_registered_model(name).aliases
    return {alias: int(number) for alias, number in found.items()}


def find(name: str, number: int | None = None) -> Version:
    """Return version ``number`` of ``name``; without a number the challenger, and without one the champion.

    Raises:
        UserError: nothing is registered under that name or number.
    """
    return model(name).find(number)


def resolve(reference: Reference) -> Version:
    """Return the version that ``reference`` means; without an alias and a number the champion.

    Raises:
        UserError: there is no such model, or it has no such version.
    """
    registered = snapshot()
    if reference.name not in registered:
        told = "no registered model of that name"
        raise UserError(f"{reference.name}: {told}.{nearest(reference.name, registered)}")
    known, alias = registered[reference.name], reference.alias or "champion"
    if reference.number is None:
        found, choices = known.alias(alias), [*known.aliases]
    else:
        found, choices = known.version(reference.number), [str(version.number) for version in known.versions]
    if found is None:
        wanted, word = (
            (alias, alias) if reference.number is None else (f"version {reference.number}", reference.number)
        )
        raise UserError(f"{known.name}: has no {wanted}.{nearest(str(word), choices)}")
    return found


def of_run(name: str, number: int, sha256: str) -> Version:
    """Return a version that was deleted, with the run that still holds its bundle where there is one."""
    runs = mlflow_store.finished(
        f"darkroom/{name}", f"tags.`{mlflow_store.KEY}` = {quoted(f'{name}:{sha256}')}"
    )
    return Version(name, number, runs[0].info.run_id if runs else "", {BUNDLE_TAG: sha256})


def point(name: str, alias: str, number: int) -> None:
    """Point ``alias`` of ``name`` to version ``number``."""
    try:
        mlflow_store.client().set_registered_model_alias(name, alias, str(number))
    except mlflow_store.MlflowException:
        # MLflow fails where two give a model its first alias of a name at the same moment. Now there is one.
        mlflow_store.client().set_registered_model_alias(name, alias, str(number))


def fetch(version: Version) -> Bundle:
    """Open a version's bundle from the artifact store: downloaded once per hash, and verified every time.

    Where the artifact store does not have it, it is looked for by its hash in this project and in DVC.

    Raises:
        UserError: the bundle is not there, or is not the one that was registered.
    """
    sha256 = version.bundle_sha256
    if not sha256:
        raise UserError(
            f"{version.name} version {version.number}: not registered by Darkroom: it has no "
            f"{BUNDLE_TAG} tag."
        )
    folder = STATE / "bundles" / sha256
    with locks.of_workspace(f"bundle-{sha256[:16]}"):
        if kept := _open(folder, sha256):
            return kept
        shutil.rmtree(folder, ignore_errors=True)
        _download(version, folder)
        return Bundle.open(folder)


def _download(version: Version, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    told = f"{version.name} version {version.number}"
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as temporary:
        try:
            got = mlflow_store.client().download_artifacts(version.run_id, f"{MODEL_PATH}/bundle", temporary)
        except (mlflow_store.MlflowException, OSError) as error:
            got = _copy(version, Path(temporary) / "copy", first_line(error))
        if not _open(Path(got), version.bundle_sha256):
            raise UserError(
                f"{told}: its bundle in the artifact store is not the one that was registered (SHA-256 "
                f"{version.bundle_sha256}). It was changed or damaged there: it is "
                "neither promoted nor compared with."
            )
        Path(got).rename(folder)


def _copy(version: Version, to: Path, reason: str) -> Path:
    """Bring a copy of a bundle that MLflow does not give, for ``reason``, to ``to``."""
    told, looked = f"{version.name} version {version.number}", []
    for place in bundle_copies.look(version.name, version.run_id, version.tags, to):
        if _open(to, version.bundle_sha256):
            print(f"{told}: MLflow does not give its bundle ({reason}); taken from {place}", file=sys.stderr)
            return to
        looked.append(place)
    where = f" Looked for by its hash, too: {'; '.join(looked)}." if looked else ""
    raise UserError(f"{told}: its bundle cannot be downloaded: {reason}.{where}")


def _open(folder: Path, sha256: str) -> Bundle | None:
    """Return the bundle in ``folder`` when it is whole and the one that is meant."""
    try:
        found = Bundle.open(folder)
    except UserError:
        return None
    return found if found.sha256 == sha256 else None


def _read(name: str | None) -> dict[str, Model]:
    where = f"name = {quoted(name)}" if name else None
    versions: dict[str, list[Version]] = {}
    for entry in _pages(mlflow_store.client().search_model_versions, where):
        version = Version(
            entry.name, int(entry.version), entry.run_id, dict(entry.tags), entry.creation_timestamp
        )
        versions.setdefault(entry.name, []).append(version)
    return {
        entry.name: Model(
            entry.name,
            tuple(sorted(versions.get(entry.name, []), key=lambda version: version.number)),
            {alias: int(number) for alias, number in entry.aliases.items()},
        )
        for entry in _pages(mlflow_store.client().search_registered_models, where)
    }


def _pages(search: Any, where: str | None) -> list[Any]:
    found, token = [], None
    while True:
        page = search(filter_string=where, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found
