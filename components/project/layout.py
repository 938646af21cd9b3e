"""Where every stage's results lie, relative to the project's root. ``dvc.yaml`` names the same paths."""

from __future__ import annotations

from pathlib import Path

STATE = Path(".darkroom")
"""Git- and DVC-ignored state: locks, logs, resume points, the embedded MLflow and Prefect stores."""

MLFLOW = STATE / "mlflow"
"""The embedded MLflow store: ``mlflow.db`` and the folder of artifacts."""

PREDICTIONS = STATE / "predictions"
"""The server's prediction log: a folder for each model."""

REPORT = Path("artifacts/report.html")
"""The report over all models."""


def dataset_file(dataset: str) -> Path:
    """Where the data set comes from and how it is split; people edit it."""
    return Path("data") / dataset / "dataset.yaml"


def suite_file(dataset: str) -> Path:
    """The data set's own expectations; inferred once, then people edit it."""
    return Path("data") / dataset / "suite.yaml"


def ingested(dataset: str) -> Path:
    """Folder of the manifest (a row per example) and the images' bytes, as ``components/datasets/manifest.py`` says."""
    return Path("artifacts/data") / dataset / "ingest"


def validation_file(dataset: str) -> Path:
    """The verdict of the data validation."""
    return Path("artifacts/data") / dataset / "validation.json"


def data_docs(dataset: str) -> Path:
    """Folder of the Data Docs HTML: holds times, so it is no DVC out."""
    return Path("artifacts/data") / dataset / "docs"


def prepared(dataset: str) -> Path:
    """Folder that :class:`data.prepared.PreparedData` reads."""
    return Path("artifacts/data") / dataset / "prepared"


def slices_file(dataset: str) -> Path:
    """Which test examples each slice of the data set holds (``components/datasets/slices.py``)."""
    return Path("artifacts/data") / dataset / "slices.parquet"


def ingested_challenge_sets(dataset: str) -> Path:
    """Folder like :func:`ingested`, of the images of all challenge sets; it is a part of it, and may be missing."""
    return ingested(dataset) / "challenge_sets"


def challenge_sets(dataset: str) -> Path:
    """Folder of the prepared images of all challenge sets (``components/datasets/challenge_sets.py``)."""
    return Path("artifacts/data") / dataset / "challenge_sets"


def label_errors(dataset: str) -> Path:
    """Folder of what was found of the data set's labels, with the page ``index.html``."""
    return Path("artifacts/data") / dataset / "labels"


def judge(dataset: str) -> Path:
    """Folder of the classifier by which the data set's generators are judged, and of what it sees in real images."""
    return Path("artifacts/data") / dataset / "judge"


def trained(model: str) -> Path:
    """Folder with ``model.safetensors``, ``last.safetensors``, ``checkpoint.json``, ``history.csv``.

    Of pre-trained weights: ``model.safetensors`` or its parts, ``origin.json``, and JSON files that came with them.
    """
    return Path("artifacts/models") / model / "train"


def evaluated(model: str) -> Path:
    """Folder with ``metrics.json``, ``headline.json``, ``examples.parquet`` and ``plots/``."""
    return Path("artifacts/models") / model / "evaluate"


def bundle(model: str) -> Path:
    """The exported ONNX bundle; ``artifacts/bundles`` is a Triton model repository."""
    return Path("artifacts/bundles") / model


def listing_file(dataset: str, challenge_set: str = "") -> Path:
    """The listing that a ``listing:`` of ``dataset.yaml`` is the hash of; serves only to say what changed since."""
    return STATE / "listings" / (f"{dataset}/{challenge_set}.json" if challenge_set else f"{dataset}.json")


def ingest_memo(dataset: str) -> Path:
    """Folder of what the last ingest of a folder of images found: it saves work, and no result depends on it."""
    return STATE / "ingest" / dataset


def challenge_memo(dataset: str) -> Path:
    """Folder like :func:`ingest_memo`, of the challenge sets."""
    return STATE / "challenge_sets" / dataset


def picture_memo(dataset: str) -> Path:
    """Folder of what the last prepare made of a folder of images: it saves work, and no result depends on it."""
    return STATE / "prepare" / dataset


def early_picture_memo(dataset: str) -> Path:
    """Folder of the pictures that the last ingest made of what it read: it saves work, and no result depends on it."""
    return STATE / "pictures" / dataset


def failed_validation_file(dataset: str) -> Path:
    """The verdict of a data validation that failed; only one that passed becomes ``validation_file``."""
    return STATE / "validation" / f"{dataset}.json"


def resume(model: str) -> Path:
    """Folder of resume points: outside the DVC outs, which DVC deletes before a stage runs."""
    return STATE / "resume" / model


def batch_size(model: str) -> Path:
    """What ``batch_size: auto`` was found to be for a model: no DVC out, because it is read by the next training."""
    return STATE / "batch_size" / f"{model}.json"


def timing(model: str) -> Path:
    """How fast, and on what, the last training was: no DVC out, because it differs between runs and machines."""
    return STATE / "timing" / f"{model}.json"
