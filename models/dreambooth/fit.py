"""Training everything but the autoencoder."""

from __future__ import annotations

from data.prepared import DataSpec, PreparedData
from models.dreambooth.config import Config
from models.run import Run
from models.text_to_image.teaching import Student, teach


def build(config: Config, spec: DataSpec) -> Student:
    """Return the networks with random weights."""
    return Student(config, spec)


def fit(model: Student, data: PreparedData, run: Run) -> None:
    """Train ``model`` in place; its autoencoder stays, bit for bit."""
    model.autoencoder.requires_grad_(False)
    teach(model, data, run)
