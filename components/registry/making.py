"""How a version was made, kept in its run: what its bundle and its recipe do not say and a model card tells.

``source/making.json`` is written once, at registration. Versions of older releases have none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from components.project import layout
from components.registry import mlflow_store, recorded
from components.registry.versions import Version
from data import spec

_FILE = "source/making.json"

_TRAINING = ("seed", "steps", "best")
_DATA = {"source", "parent", "recipe", "splits"}


@dataclass(frozen=True)
class Making:
    """What is known of it; each is None where nothing tells.

    Attributes:
        training: ``seed``, ``steps``, and ``best``: where on validation data it was best.
        timing: ``seconds``, ``images_per_second``, ``device`` and ``processor`` of the training.
        data: ``source``, ``parent``, ``recipe``, and ``splits``, the rule, of ``dataset.yaml``.
    """

    training: dict[str, Any] | None = None
    timing: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


def keep(run_id: str, name: str, dataset: str, timing: dict[str, Any] | None) -> None:
    """Write how the present bundle of model ``name`` was made to the run of its version.

    ``timing`` is how long its training took and on what; None where that is not known.
    """
    told = {"training": _training(name), "timing": timing, "data": _data(dataset)}
    mlflow_store.client().log_dict(run_id, told, _FILE)


def of(version: Version) -> Making:
    """Return how ``version`` was made; empty of one that was registered before this was kept.

    Raises:
        UserError: the registry does not answer.
    """
    return Making(**(recorded.read_json(version, _FILE) or {}))


def _training(name: str) -> dict[str, Any] | None:
    file = layout.trained(name) / "checkpoint.json"
    if not file.exists():
        return None
    description = json.loads(file.read_text())
    return {key: description[key] for key in _TRAINING if key in description}


def _data(dataset: str) -> dict[str, Any]:
    """Return where the data come from and how they are split.

    The folder that images of a user come from is left out: it means something on one machine.
    """
    told = spec.load(layout.dataset_file(dataset)).model_dump(mode="json", include=_DATA, exclude_none=True)
    if "test_weeks" in told["splits"]:  # which are the test split in place of a share
        del told["splits"]["test"]
    return told
