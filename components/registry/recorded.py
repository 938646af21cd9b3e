"""What a version's run keeps beside its bundle, read back: files, and its entry of ``params.yaml``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from components.registry import mlflow_store
from components.registry.versions import Version
from data.errors import UserError, first_line


def read(version: Version, path: str) -> bytes | None:
    """Return the file at ``path`` of the artifacts of ``version``; None where its run has none.

    Raises:
        UserError: the registry does not answer, or the run is gone.
    """
    if not version.run_id:
        return None
    with tempfile.TemporaryDirectory() as temporary:
        try:
            folder = PurePosixPath(path).parent.as_posix()
            listed = mlflow_store.client().list_artifacts(version.run_id, folder)
            if path not in [file.path for file in listed]:
                return None
            return Path(
                mlflow_store.client().download_artifacts(version.run_id, path, temporary)
            ).read_bytes()
        except (mlflow_store.MlflowException, OSError) as error:
            raise _unreadable(version, path, error) from None


def read_json(version: Version, path: str) -> Any:
    """Return the value of the JSON file at ``path``, as :func:`read`; None where there is none."""
    content = read(version, path)
    return None if content is None else json.loads(content)


def settings(version: Version) -> dict[str, str]:
    """Return the model's entry of ``params.yaml`` as it was, flat: ``family``, ``seed``, ``overrides.epochs``, ...

    Raises:
        UserError: the registry does not answer, or the run is gone.
    """
    if not version.run_id:
        return {}
    try:
        return dict(mlflow_store.client().get_run(version.run_id).data.params)
    except mlflow_store.MlflowException as error:
        raise _unreadable(version, "its settings", error) from None


def _unreadable(version: Version, what: str, error: Exception) -> UserError:
    return UserError(
        f"{version.name} version {version.number}: {what} cannot be read from MLflow: {first_line(error)}"
    )
