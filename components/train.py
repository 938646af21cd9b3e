"""Train a model: ``python -m components.train NAME``. Reads the prepared data, writes checkpoint and history."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

import models
from components.project import batch_size, inputs, layout, params
from components.project.command import main
from components.project.sections import ModelParams
from components.trained import base_model
from data import atomic
from data.errors import UserError
from data.prepared import DataSpec, PreparedData
from models import checkpoint, footprint, launch, ranks
from models.checkpoint import Checkpoint
from models.run import Run, find_device, forget, processor
from models.settings import Settings, configure


def run(name: str, *, backend: str = "nccl") -> Path:
    """Train the model ``name`` of ``params.yaml`` and return its folder, ``layout.trained(name)``.

    A training that was killed goes on from its last resume point and ends in the same bytes.

    Args:
        name: an entry of ``params.yaml``.
        backend: how its ranks talk to each other where it has several ``gpus``; with ``gloo`` each of them is a
            process on the CPU, and no GPU is needed.

    Raises:
        UserError: a wrong entry in ``params.yaml``, no prepared data, a GPU demanded where there is none, more memory
            needed than there is, also by a GPU that runs out of it, or an edit while it ran.
        models.launch.RankDied: of several ranks one was killed or failed.
    """
    settings = params.load()
    entry, where = settings.model(name), settings.where(name)
    base = base_model.load(entry, where)
    family, config = _settings(where, entry, base)
    if entry.gpus > 1 and getattr(family, "ONE_DEVICE", False):
        raise UserError(f"{where}.gpus: {entry.gpus}, but a {entry.family!r} is fitted on one. Leave it out.")
    gpus = _gpus(entry, where, backend)
    device = find_device("cpu" if backend == "gloo" else entry.device, f"{where}.device")
    data = PreparedData(layout.prepared(entry.dataset))
    data.spec.require(family.TASK, f"{where}.dataset")
    if batch_size.is_auto(entry):
        sought = _key(entry, config, data.spec, device)
        size = batch_size.kept(name, sought) or footprint.largest_batch(
            family, config, data, device, where, entry.gpus
        )
        batch_size.keep(name, size, sought)
        print(f"train {name}: batch_size: auto is {size}", file=sys.stderr)
        config = config.model_copy(update={batch_size.KEY: size})
    _require_rows(entry, config, data, where)
    needed = footprint.require(family, footprint.of_rank(config, entry.gpus), data, device, where)
    each = "" if entry.gpus == 1 else f" on each of {entry.gpus} GPUs"
    print(f"train {name}: {needed}{each}", file=sys.stderr)
    resume_file = layout.resume(name) / _key(entry, config, data.spec, device) / "point.safetensors"
    job = _Job(name, where, entry, config, device, resume_file)
    if entry.gpus == 1:
        _fit(job, base, data)
    else:
        launch.launch(_be_rank, (job,), gpus=gpus, backend=backend)
    inputs.confirm()  # before the resume point goes: whoever takes an edit back goes on from there
    forget(layout.resume(name))
    return layout.trained(name)


@dataclass(frozen=True)
class _Job:
    """What a rank is told of a training; ``where`` is its key in ``params.yaml``."""

    name: str
    where: str
    entry: ModelParams
    config: Settings
    device: torch.device
    resume_file: Path


def _be_rank(job: _Job) -> None:
    _fit(job, base_model.load(job.entry, job.where), PreparedData(layout.prepared(job.entry.dataset)))


def _fit(job: _Job, base: Checkpoint | None, data: PreparedData) -> None:
    """Train, and write what was learned; of several ranks the first one writes."""
    name, entry, config = job.name, job.entry, job.config
    family = models.family(entry.family)
    with (
        footprint.advice(config, data, job.where),
        Run(
            name, seed=entry.seed, device=job.device, threads=entry.threads, resume_file=job.resume_file
        ) as training,
    ):
        model = family.build(config, data.spec)
        if base is not None:
            family.start(model, base)
        family.fit(model, data, training)
        speed = training.speed()
    if not ranks.is_first():
        return
    origin = base_model.origin(entry)
    with atomic.folder(layout.trained(name)) as folder:
        checkpoint.save(
            folder,
            family=entry.family,
            config=config,
            spec=data.spec,
            seed=entry.seed,
            model=model,
            outcome=training.outcome,
            origin=origin,
        )
        if hasattr(family, "save_pretrained"):
            family.save_pretrained(model, folder / "huggingface")
        _write_history(folder / "history.csv", training.history)
    weights = _sha256(layout.trained(name) / checkpoint.WEIGHTS)
    machine = {"device": job.device.type, "processor": processor(job.device), "weights_sha256": weights}
    atomic.write_json(layout.timing(name), speed | machine)


def _gpus(entry: ModelParams, where: str, backend: str) -> list[str | None]:
    """Return what each rank sees of the GPUs, as ``CUDA_VISIBLE_DEVICES`` has it.

    Raises:
        UserError: there are fewer GPUs here than the entry asks for.
    """
    if backend == "gloo" or entry.gpus == 1:
        return [None] * entry.gpus
    there = torch.cuda.device_count()
    if there < entry.gpus:
        raise UserError(
            f"{where}.gpus: {entry.gpus}, but there are {there} GPUs here. Use at most {max(1, there)}."
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(there)]
    return [name.strip() for name in names[: entry.gpus]]


def _require_rows(entry: ModelParams, config: Settings, data: PreparedData, where: str) -> None:
    """Check that each rank gets an example of each batch.

    Raises:
        UserError: a batch has fewer examples than there are ranks.
    """
    if entry.gpus == 1:
        return
    size = min(config.batch_size, len(data.train))
    if size < entry.gpus:
        raise UserError(
            f"{where}.gpus: {entry.gpus}, but a batch has {size} examples. Use at most {size} GPUs."
        )


def _settings(where: str, entry: ModelParams, base: Checkpoint | None) -> tuple[ModuleType, Settings]:
    family = models.family(entry.family)
    overrides = entry.overrides | base_model.settings(entry)
    config = configure(family.Config, entry.preset, overrides, f"{where}.overrides")
    if base is None:
        return family, config
    return family, config.model_copy(update={"base": base.config})


def _key(entry: ModelParams, config: Settings, spec: DataSpec, device: torch.device) -> str:
    """Return a hash of everything that the training depends on: another key never resumes this training."""
    root = Path(models.__file__).parent
    families = [entry.family, getattr(models.family(entry.family), "BASE", entry.family)]
    code = [file for folder in (".", "blocks", *families) for file in root.glob(f"{folder}/*.py")]
    recipe = {
        "config": config.model_dump(mode="json"),
        "data": spec.to_json(),
        "seed": entry.seed,
        "threads": entry.threads,
        "gpus": entry.gpus,
        "device": processor(device),
        "torch": torch.__version__,
        "files": [_sha256(file) for file in (*sorted(set(code)), Path(__file__), *base_model.files(entry))],
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    try:
        main(run)
    except launch.RankDied as error:  # no mistake of the user: another try may help
        sys.exit(f"train {sys.argv[1]}: {error}")
