"""Train a model: ``python -m components.train NAME``. Reads the prepared data, writes checkpoint and history."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from types import ModuleType

import torch

import models
from components import layout, params
from components.command import main
from components.params import ModelParams
from data import atomic
from data.prepared import DataSpec, PreparedData
from models import checkpoint
from models.run import Run, find_device, forget
from models.settings import Settings, configure


def run(name: str) -> Path:
    """Train the model ``name`` of ``params.yaml`` and return its folder, ``layout.trained(name)``.

    A training that was killed goes on from its last resume point and ends in the same bytes.

    Raises:
        UserError: a wrong entry in ``params.yaml``, no prepared data, or a GPU demanded where there is none.
    """
    entry = params.load().model(name)
    family, config = _settings(name, entry)
    device = find_device(entry.device, f"{params.FILE}: models.{name}.device")
    data = PreparedData(layout.prepared(entry.dataset))
    data.spec.require(family.TASK, f"{params.FILE}: models.{name}.dataset")
    resume_file = layout.resume(name) / _key(entry, config, data.spec, device) / "point.safetensors"
    with Run(
        name, seed=entry.seed, device=device, threads=entry.threads, resume_file=resume_file
    ) as training:
        model = family.build(config, data.spec)
        family.fit(model, data, training)
        speed = training.speed()
    with atomic.folder(layout.trained(name)) as folder:
        checkpoint.save(
            folder,
            family=entry.family,
            config=config,
            spec=data.spec,
            seed=entry.seed,
            model=model,
            outcome=training.outcome,
        )
        if hasattr(family, "save_pretrained"):
            family.save_pretrained(model, folder / "huggingface")
        _write_history(folder / "history.csv", training.history)
    atomic.write_json(layout.timing(name), speed | {"device": device.type})
    forget(layout.resume(name))
    return layout.trained(name)


def _settings(name: str, entry: ModelParams) -> tuple[ModuleType, Settings]:
    family = models.family(entry.family)
    where = f"{params.FILE}: models.{name}.overrides"
    return family, configure(family.Config, entry.preset, entry.overrides, where)


def _key(entry: ModelParams, config: Settings, spec: DataSpec, device: torch.device) -> str:
    """Return a hash of everything that the training depends on: another key never resumes this training."""
    root = Path(models.__file__).parent
    code = [*root.glob("*.py"), *root.glob("blocks/*.py"), *root.glob(f"{entry.family}/*.py"), Path(__file__)]
    recipe = {
        "config": config.model_dump(mode="json"),
        "data": spec.to_json(),
        "seed": entry.seed,
        "threads": entry.threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "code": [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(code)],
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(run)
