"""Train a model: ``python -m components.train NAME``. Reads the prepared data, writes checkpoint and history."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType

import torch

import models
from components.project import batch_size, inputs, layout, params
from components.project.command import main
from components.project.sections import ModelParams
from components.trained import base_model
from data import atomic
from data.prepared import DataSpec, PreparedData
from models import checkpoint, footprint
from models.checkpoint import Checkpoint
from models.run import Run, find_device, forget, processor
from models.settings import Settings, configure


def run(name: str) -> Path:
    """Train the model ``name`` of ``params.yaml`` and return its folder, ``layout.trained(name)``.

    A training that was killed goes on from its last resume point and ends in the same bytes.

    Raises:
        UserError: a wrong entry in ``params.yaml``, no prepared data, a GPU demanded where there is none, more memory
            needed than there is, also by a GPU that runs out of it, or an edit while it ran.
    """
    settings = params.load()
    entry, where = settings.model(name), settings.where(name)
    base = base_model.load(entry, where)
    family, config = _settings(where, entry, base)
    device = find_device(entry.device, f"{where}.device")
    data = PreparedData(layout.prepared(entry.dataset))
    data.spec.require(family.TASK, f"{where}.dataset")
    if batch_size.is_auto(entry):
        sought = _key(entry, config, data.spec, device)
        size = batch_size.kept(name, sought) or footprint.largest_batch(family, config, data, device, where)
        batch_size.keep(name, size, sought)
        print(f"train {name}: batch_size: auto is {size}", file=sys.stderr)
        config = config.model_copy(update={batch_size.KEY: size})
    needed = footprint.require(family, config, data, device, where)
    print(f"train {name}: {needed}", file=sys.stderr)
    resume_file = layout.resume(name) / _key(entry, config, data.spec, device) / "point.safetensors"
    with (
        footprint.advice(config, data, where),
        Run(name, seed=entry.seed, device=device, threads=entry.threads, resume_file=resume_file) as training,
    ):
        model = family.build(config, data.spec)
        if base is not None:
            family.start(model, base)
        family.fit(model, data, training)
        speed = training.speed()
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
    machine = {"device": device.type, "processor": processor(device), "weights_sha256": weights}
    atomic.write_json(layout.timing(name), speed | machine)
    inputs.confirm()  # before the resume point goes: whoever takes an edit back goes on from there
    forget(layout.resume(name))
    return layout.trained(name)


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
    main(run)
