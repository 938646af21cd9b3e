"""Checkpoint folders: weights as safetensors, everything else as JSON, no pickle.

Layout::

    model.safetensors   the weights to use: best by validation, averaged where the family averages
    last.safetensors    the weights at the end of the training
    checkpoint.json     family, config, data spec, seed, steps, what "best" means
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import models
from data import atomic
from data.errors import UserError
from data.prepared import DataSpec
from models.run import Outcome
from models.settings import Settings

WEIGHTS, DESCRIPTION = "model.safetensors", "checkpoint.json"
KEYS = ("family", "config", "spec", "seed", "steps", "best")


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and what it was made of.

    Attributes:
        model: the module with its weights, on the CPU, in evaluation mode.
        family: the family's module (``models.<name>``).
        config: the settings that it was trained with.
        spec: the data that it was trained on.
        seed: the training's seed.
        steps: optimizer steps or iterations taken.
        best: what "best" means, as in :class:`models.run.Outcome`.
        origin: of one that started from other weights: their ``name``, ``source``, ``sha256``, ``licence``; else None.
    """

    model: nn.Module
    family: ModuleType
    config: Settings
    spec: DataSpec
    seed: int
    steps: int
    best: dict[str, Any]
    origin: dict[str, Any] | None = None


def save(
    folder: Path,
    *,
    family: str,
    config: Settings,
    spec: DataSpec,
    seed: int,
    model: nn.Module,
    outcome: Outcome,
    origin: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint into ``folder``, which exists; the same training gives the same bytes.

    ``origin`` says which weights the training started from, as :class:`Checkpoint` has it.
    """
    _save_weights(folder / WEIGHTS, model.state_dict())
    _save_weights(folder / "last.safetensors", outcome.last)
    description = {
        "family": family,
        "config": config.model_dump(mode="json"),
        "spec": spec.to_json(),
        "seed": seed,
        "steps": outcome.steps,
        "best": outcome.best,
        **({"origin": origin} if origin else {}),
    }
    atomic.write_json(folder / DESCRIPTION, description)


def load(folder: Path) -> Checkpoint:
    """Build the model that lies in ``folder`` and load its best weights.

    Raises:
        UserError: there is no checkpoint, or it is cut short or another version's.
    """
    description = _describe(folder)
    family = models.family(description["family"])
    try:
        config = family.Config.model_validate(description["config"])
        spec = DataSpec.from_json(description["spec"])
    except (ValidationError, TypeError) as error:
        told = str(error).splitlines()
        raise _stale(
            folder / DESCRIPTION, "its settings are not this version's", " ".join(told[:3])
        ) from None
    model = family.build(config, spec)
    weights = folder / WEIGHTS
    try:
        model.load_state_dict(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise _stale(weights, "cannot be read", str(error)) from None
    except RuntimeError as error:
        told = str(error).splitlines()
        raise _stale(weights, f"does not fit {description['family']!r}", " ".join(told[1:3])) from None
    model.eval()
    return Checkpoint(
        model,
        family,
        config,
        spec,
        description["seed"],
        description["steps"],
        description["best"],
        description.get("origin"),
    )


def _describe(folder: Path) -> dict[str, Any]:
    file = folder / DESCRIPTION
    try:
        description = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder}: no {DESCRIPTION} there. Run the train stage first.") from None
    except ValueError as error:
        raise _stale(file, "is no JSON", str(error)) from None
    missing = [key for key in KEYS if not isinstance(description, dict) or key not in description]
    if missing:
        raise _stale(file, "describes no model", f"no {', '.join(map(repr, missing))}")
    return description


def _stale(file: Path, problem: str, why: str) -> UserError:
    return UserError(f"{file}: {problem}: {why.strip()}. Run the train stage again.")


def _save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    with atomic.file(path) as temporary:
        save_file(
            {key: value.detach().cpu().contiguous().clone() for key, value in weights.items()}, temporary
        )
