"""What a registered version carries: tags that trace it back; artifacts, parameters, metrics in its run."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import Model as MLmodel
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from components.project import batch_size, git, layout, params
from components.registry import bundle_copies, making, mlflow_store, recipe, seen
from components.registry.versions import MODEL_PATH, Version
from data.errors import UserError, first_line

_WEIGHTS = "model.safetensors"
BATCH_SIZES = "batch_sizes.json"
"""By model, what ``batch_size: auto`` was: beside ``dvc.lock`` and ``params.yaml``, of a version that has such."""
_SOURCE = "source"
_MODEL_DATA = "bundle/1/model.onnx"


def lineage(facts: dict[str, Any]) -> dict[str, str]:
    """Return what a version is traced back to, as tags; ``facts`` are the values of ``bundle.json``."""
    return {
        "task": facts["task"],
        "family": facts["family"],
        "dataset": facts["dataset"],
        "data_sha256": facts["data"],
        **_commit(),
        "dvc_lock_sha256": _file_sha256(Path("dvc.lock")),
        bundle_copies.DVC_TAG: bundle_copies.dvc_name(facts["name"]),
        "trained_on": trained_on(facts["name"]),
    }


def _commit() -> dict[str, str]:
    return {
        "git_commit": git.ask("rev-parse", "HEAD") or "none",
        "git_dirty": str(git.is_changed()).lower(),
    }


def trace(version: Version) -> None:
    """Name the commit of a version that was made of uncommitted files, when its bundle comes of committed ones now."""
    if version.tags.get("git_dirty") != "false" and (found := _commit())["git_dirty"] == "false":
        for key, value in found.items():
            mlflow_store.client().set_model_version_tag(version.name, str(version.number), key, value)


def trained_on(name: str) -> str:
    """Return the kind of processor that the present weights of model ``name`` were trained on.

    ``unknown`` where they were not trained in this folder: DVC's cache and remote keep outs, which say nothing of it.
    """
    timing = _timing(name)
    return timing["processor"] if timing else "unknown"


def _timing(name: str) -> dict[str, Any] | None:
    """Return how long the training of the present weights took and on what; None where it was not in this folder."""
    timing = layout.timing(name)
    told = json.loads(timing.read_text()) if timing.exists() else {}
    return told if told.get("weights_sha256") == _file_sha256(layout.trained(name) / _WEIGHTS) else None


def _file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"


def log(run_id: str, name: str, folder: Path, facts: dict[str, Any]) -> None:
    """Write the bundle in ``folder`` and all that belongs to it to the run of the version."""
    model = params.load().model(name)
    client = mlflow_store.client()
    client.log_artifacts(run_id, str(folder), f"{MODEL_PATH}/bundle")
    with tempfile.TemporaryDirectory() as temporary:
        _mlmodel(run_id, facts).save(f"{temporary}/MLmodel")
        client.log_artifact(run_id, f"{temporary}/MLmodel", MODEL_PATH)
    client.log_artifacts(run_id, str(layout.evaluated(name)), "evaluate")
    client.log_artifact(run_id, str(layout.validation_file(model.dataset)), "data")
    seen.keep(run_id, name, params.load())
    recipe.keep(run_id, name, model.dataset)
    making.keep(run_id, name, model.dataset, _timing(name))
    for file in (Path("dvc.lock"), params.FILE):
        if file.exists():
            client.log_artifact(run_id, str(file), _SOURCE)
    if sizes := batch_size.taken(params.load(), name):
        client.log_dict(run_id, sizes, f"{_SOURCE}/{BATCH_SIZES}")
    numbers = [
        mlflow_store.Metric(key, metric["value"], _now(), 0) for key, metric in facts["metrics"].items()
    ]
    mlflow_store.log_numbers(
        run_id, _flat(model.model_dump()), numbers + _curve(layout.trained(name) / "history.csv")
    )


def source(version: Version, folder: Path) -> Path:
    """Bring the ``dvc.lock`` and ``params.yaml`` of a registered version to ``folder``; return where they are.

    Raises:
        UserError: they are out of reach.
    """
    try:
        return Path(mlflow_store.client().download_artifacts(version.run_id, _SOURCE, str(folder)))
    except (mlflow_store.MlflowException, OSError) as error:
        told = f"{version.name} version {version.number}"
        raise UserError(f"{told}: its dvc.lock cannot be downloaded: {first_line(error)}") from None


def _mlmodel(run_id: str, facts: dict[str, Any]) -> MLmodel:
    """Describe the bundle to ``mlflow.onnx.load_model``: MLflow's ``log_model`` would rewrite the graph."""

    def schema(tensors: list[dict[str, Any]]) -> Schema:
        # Strings are objects to numpy.
        kinds = [np.dtype({"string": "object"}.get(t["dtype"], t["dtype"])) for t in tensors]
        return Schema(
            [TensorSpec(kind, tuple(t["shape"]), t["name"]) for kind, t in zip(kinds, tensors, strict=True)]
        )

    described = MLmodel(
        artifact_path=MODEL_PATH,
        run_id=run_id,
        signature=ModelSignature(schema(facts["inputs"]), schema(facts["outputs"])),
    )
    described.add_flavor(
        "onnx", data=_MODEL_DATA, providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    return described


def _curve(history: Path) -> list[mlflow_store.Metric]:
    """Return the numbers of ``history.csv`` as MLflow metrics over its first column, the step."""
    if not history.exists():
        return []
    with history.open(newline="") as file:
        rows = csv.reader(file)
        columns = next(rows)[1:]
        return [
            mlflow_store.Metric(f"history/{column}", float(value), _now(), int(float(row[0])))
            for row in rows
            for column, value in zip(columns, row[1:], strict=True)
            if value
        ]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return flat


def _now() -> int:
    return int(1e3 * time.time())
