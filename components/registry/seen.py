"""Which images a version has seen in training: on these it is not to be compared with others.

A version's run keeps the contents of the train and validation images of its data, and of the data of the model that
it started from. Splits of a data set may move, by a new rule or a new salt, or as the newest weeks do; then images that
an older version was trained on are test images now.
"""

from __future__ import annotations

import io
import tempfile

import numpy as np

from components.project import layout
from components.project.sections import Params
from components.registry import mlflow_store, recorded
from components.registry.versions import Version
from data.prepared import PreparedData

_FOLDER, _FILE = "data", "seen.npy"


def keep(run_id: str, name: str, params: Params) -> None:
    """Write what model ``name`` has seen, as it is prepared now, to the run of its version."""
    contents = [np.empty(0, np.int64)]
    entry: str | None = name
    while entry in params.all_models:
        model = params.model(entry)
        data = PreparedData(layout.prepared(model.dataset))
        contents += [data.train.contents, data.validation.contents]
        entry = model.base
    with tempfile.TemporaryDirectory() as temporary:
        np.save(f"{temporary}/{_FILE}", np.unique(np.concatenate(contents)))
        mlflow_store.client().log_artifact(run_id, f"{temporary}/{_FILE}", _FOLDER)


def of_any(*versions: Version) -> np.ndarray | None:
    """Return the contents that one of ``versions`` has seen, int64 [n]; None where no run tells.

    Raises:
        UserError: the registry does not answer.
    """
    known = [contents for version in versions if (contents := of(version)) is not None]
    return np.concatenate(known) if known else None


def of(version: Version) -> np.ndarray | None:
    """Return the contents that ``version`` has seen, int64 [n]; None where its run does not tell.

    Raises:
        UserError: the registry does not answer.
    """
    content = recorded.read(version, f"{_FOLDER}/{_FILE}")
    return None if content is None else np.load(io.BytesIO(content))
