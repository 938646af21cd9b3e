"""What a version was really made with, kept with its run: the settings that preset and overrides gave, and the splits.

``params.yaml`` has what was asked for. What a preset gave is in the code of that day, and sizes of splits are in data
that go with the next prepare: neither can be told later.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from components.project import layout
from components.registry import mlflow_store, recorded
from components.registry.versions import Version
from data.prepared import SPLITS, PreparedData

_FILE = "source/recipe.json"


@dataclass(frozen=True)
class Recipe:
    """What is known of it.

    Attributes:
        config: every setting of the family by its name; None where nothing tells.
        splits: examples of each split by its name; None where nothing tells.
    """

    config: dict[str, Any] | None = None
    splits: dict[str, int] | None = None


def keep(run_id: str, name: str, dataset: str) -> None:
    """Write what model ``name`` was made with to the run of its version."""
    checkpoint, data = layout.trained(name) / "checkpoint.json", PreparedData(layout.prepared(dataset))
    config = json.loads(checkpoint.read_text())["config"] if checkpoint.exists() else None
    splits = {split: len(getattr(data, split)) for split in SPLITS}
    mlflow_store.client().log_dict(run_id, {"config": config, "splits": splits}, _FILE)


def of(version: Version) -> Recipe:
    """Return what ``version`` was made with; empty of one that was registered before this was kept.

    Raises:
        UserError: the registry does not answer.
    """
    return Recipe(**(recorded.read_json(version, _FILE) or {}))
