"""Registration: the exported bundle of a model becomes a version, once.

All that belongs to a version is written to an MLflow run first, and the version, with all its tags, is created last and
in one step. A registration that is killed leaves nothing that looks registered; the next call finishes it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import Model as MLmodel
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from components import bundle, command, layout, params, registry, store
from components.registry import BUNDLE_TAG, MODEL_PATH, Version
from data.errors import UserError

VALIDATION_PATH = "data/validation.json"
"""Artifact of a version: the verdict on the data that it was trained on."""

_ATTEMPTS = 20
_MODEL_DATA = "bundle/1/model.onnx"


@dataclass(frozen=True)
class Registration:
    """What :func:`run` did: the version of the present bundle, and whether this call created it."""

    name: str
    version: int
    bundle_sha256: str
    created: bool


def run(name: str) -> Registration:
    """Register the bundle of model ``name``, unless it is registered, and make it the challenger, unless it is champion.

    Raises:
        UserError: there is no bundle, it is not whole, or the store does not answer.
    """
    folder = layout.bundle(name)
    if not (folder / "bundle.json").exists():
        raise UserError(f"{folder}: no bundle there. Run the export stage first: darkroom run {name}")
    sha256 = bundle.sha256(folder)
    with store.lock(f"registry-{name}"):
        model = registry.model(name)
        versions = model.of_bundle(sha256)
        created = not versions
        if created:
            version, created = _register(name, folder, sha256)
            model = registry.model(name)
        elif len(versions) > 1:
            version = _settle(name, sha256)
        else:
            version = versions[0]
        _point_challenger(model, version)
    return Registration(name, version.number, sha256, created)


def _register(name: str, folder: Path, sha256: str) -> tuple[Version, bool]:
    bundle.Bundle.open(folder)  # a damaged bundle stops here
    facts = json.loads((folder / "bundle.json").read_text())
    tags = {BUNDLE_TAG: sha256, **_lineage(facts)}
    key = f"{name}:{sha256}"
    with store.whole_run(f"darkroom/{name}", key, f"{name} {sha256[:12]}", tags) as run_id:
        _log(run_id, name, folder, facts)
    _create_model(name)
    number = _create_version(name, run_id, tags)
    version = _settle(name, sha256)
    return version, version.number == number


def _create_model(name: str) -> None:
    try:
        store.client().create_registered_model(name)
    except store.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _create_version(name: str, run_id: str, tags: dict[str, str]) -> int:
    source = f"{store.client().get_run(run_id).info.artifact_uri}/{MODEL_PATH}"
    for attempt in range(_ATTEMPTS):
        try:
            return int(store.client().create_model_version(name, source, run_id, tags=tags).version)
        except store.MlflowException:
            # Many at once want the next number, and MLflow itself tries only three times.
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, 0.1 * (attempt + 1)))
    raise AssertionError


def _settle(name: str, sha256: str) -> Version:
    """Return the one version of a bundle that counts, the lowest; delete others, made at the same time elsewhere.

    The lock holds within a workspace only. Across machines, whoever creates a version lists those of the same bundle
    afterwards. Numbers are given one by one, so the creator of the lowest never sees a lower one, and all others do.
    """
    first, *others = registry.model(name).of_bundle(sha256)
    for other in others:
        for delete in (
            lambda other=other: store.client().delete_model_version(name, str(other.number)),
            lambda other=other: store.client().delete_run(other.run_id),
        ):
            try:
                delete()
            except store.MlflowException as error:  # gone already: its creator, too, is settling
                if error.error_code not in (
                    "RESOURCE_DOES_NOT_EXIST",
                    "INVALID_PARAMETER_VALUE",
                    "INVALID_STATE",
                ):
                    raise
    return first


def _point_challenger(model: registry.Model, version: Version) -> None:
    challenger, champion = model.alias("challenger"), model.alias("champion")
    if champion and champion.number == version.number:
        if challenger:
            store.client().delete_registered_model_alias(model.name, "challenger")
    elif challenger is None or challenger.number != version.number:
        store.client().set_registered_model_alias(model.name, "challenger", str(version.number))


def _lineage(facts: dict[str, Any]) -> dict[str, str]:
    """Return what a version must be traced back to, as tags."""
    return {
        "task": facts["task"],
        "family": facts["family"],
        "dataset": facts["dataset"],
        "data_sha256": facts["data"],
        "git_commit": _git("rev-parse", "HEAD") or "none",
        # dvc.lock changes with every run; its own hash stands beside.
        "git_dirty": str(bool(_git("status", "--porcelain", "--", ".", ":(exclude)dvc.lock"))).lower(),
        "dvc_lock_sha256": _file_sha256(Path("dvc.lock")),
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"


def _log(run_id: str, name: str, folder: Path, facts: dict[str, Any]) -> None:
    """Write everything that belongs to the version to its run."""
    model = params.load().model(name)
    client = store.client()
    client.log_artifacts(run_id, str(folder), f"{MODEL_PATH}/bundle")
    with tempfile.TemporaryDirectory() as temporary:
        _mlmodel(run_id, facts).save(f"{temporary}/MLmodel")
        client.log_artifact(run_id, f"{temporary}/MLmodel", MODEL_PATH)
    client.log_artifacts(run_id, str(layout.evaluated(name)), "evaluate")
    client.log_artifact(run_id, str(layout.validation_file(model.dataset)), "data")
    for source in (Path("dvc.lock"), params.FILE):
        if source.exists():
            client.log_artifact(run_id, str(source), "source")
    metrics = json.loads((layout.evaluated(name) / "metrics.json").read_text())["metrics"]
    numbers = [store.Metric(key, metric["value"], 0, 0) for key, metric in metrics.items()]
    store.log_numbers(
        run_id, _flat(model.model_dump()), numbers + _curve(layout.trained(name) / "history.csv")
    )


def _mlmodel(run_id: str, facts: dict[str, Any]) -> MLmodel:
    """Describe the bundle to ``mlflow.onnx.load_model``: MLflow's own ``log_model`` would rewrite the graph."""

    def schema(tensors: list[dict[str, Any]]) -> Schema:
        return Schema([TensorSpec(np.dtype(t["dtype"]), tuple(t["shape"]), t["name"]) for t in tensors])

    described = MLmodel(
        artifact_path=MODEL_PATH,
        run_id=run_id,
        signature=ModelSignature(schema(facts["inputs"]), schema(facts["outputs"])),
    )
    described.add_flavor(
        "onnx", data=_MODEL_DATA, providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    return described


def _curve(history: Path) -> list[store.Metric]:
    """Return the numbers of ``history.csv`` as MLflow metrics over its first column, the step."""
    if not history.exists():
        return []
    with history.open(newline="") as file:
        step, *columns = next(rows := csv.reader(file))
        return [
            store.Metric(f"history/{column}", float(value), 0, int(float(row[0])))
            for row in rows
            for column, value in zip(columns, row[1:], strict=True)
            if value
        ]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return flat


if __name__ == "__main__":
    command.main(run)
    sys.exit(0)
