"""``batch_size: auto``: what was found for a model is kept, so that its training is the same again.

What memory is free differs from hour to hour, and another size gives another model. So what was found is written down
together with what it was found for, and taken again for the same: by a training that goes on after a kill, by the next
one in this folder, and by one that makes a registered version again.
"""

from __future__ import annotations

import json
from typing import Any

from components.project import layout
from components.project.sections import ModelParams, Params
from data import atomic

KEY, AUTO = "batch_size", "auto"


def is_auto(entry: ModelParams) -> bool:
    """Say whether a model leaves it to the memory."""
    return entry.overrides.get(KEY) == AUTO


def kept(name: str, sought: str) -> int | None:
    """Return what was found for ``sought``, a hash of all else that a training depends on; None where nothing was."""
    file = layout.batch_size(name)
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found[KEY] if found and found["for"] in (sought, None) else None


def keep(name: str, size: int, sought: str | None) -> None:
    """Write what was found for ``sought``; None is for whatever the training is like."""
    atomic.write_json(layout.batch_size(name), {"for": sought, KEY: size})


def taken(settings: Params, name: str) -> dict[str, int]:
    """Return what the trained model ``name``, and each that it starts from, took where it was left to the memory."""
    sizes, model = {}, name
    while model in settings.all_models:
        entry = settings.all_models[model]
        if is_auto(entry):
            description = json.loads((layout.trained(model) / "checkpoint.json").read_text())
            sizes[model] = description["config"][KEY]
        model = entry.base
    return sizes
