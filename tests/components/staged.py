"""One model of each task whose data is more than images with labels, small, for the stages to make a champion of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from components import evaluate, export, gate, judge, register, train
from components.datasets import manifest
from components.project import layout
from data import atomic
from data.prepared import PreparedData
from tests.models import tiny

EDGES = "source: derived\nfrom: digits\nrecipe: edges\nimage: {height: 8, width: 8, channels: 1}\ninput_channels: 1\n"


@dataclass(frozen=True)
class Staged:
    """The model ``m`` of a workspace, and what must be told of it; ``c`` is a classifier of the same data.

    Attributes:
        family: whose.
        dataset: its data, derived from digits.
        prepare: writes that data into a folder, as the ``prepare`` stage would.
        small: overrides that make the model small.
        learns: those with which it becomes champion.
        forgets: those with which the one after it is worse.
        thresholds: of the gate.
        inputs: of the bundle, name and shape.
        outputs: of the bundle, name, dtype and shape.
        examples: what export compares example by example.
        mean: a column of the examples, and the metric that is its mean; None where no metric is.
        plots: what evaluate draws, among others.
        page: what the report says, among others.
        refusal: how the gate's reason against the worse one begins, and what else it says.
        shows: the test examples that are compared for a class of objects; None where examples have one class each.
        dataset_file: content of ``dataset.yaml``, where it is not the repository's own.
    """

    family: str
    dataset: str
    prepare: Callable[[Path], PreparedData]
    small: dict[str, Any]
    learns: dict[str, Any]
    forgets: dict[str, Any]
    thresholds: dict[str, dict[str, float]]
    inputs: list[tuple[str, list[int]]]
    outputs: list[tuple[str, str, list[int]]]
    examples: set[str]
    mean: tuple[str, str] | None
    plots: set[str]
    page: tuple[str, ...]
    refusal: tuple[str, ...]
    shows: Callable[[PreparedData, int], np.ndarray] | None = None
    dataset_file: str = ""

    def export(self) -> None:
        """Put the model and its data into the working directory, and run the stages from train to export."""
        atomic.write_text(Path("models") / self.family / "__init__.py", "")
        own = Path(__file__).parents[2] / layout.dataset_file(self.dataset)
        atomic.write_text(layout.dataset_file(self.dataset), self.dataset_file or own.read_text())
        atomic.write_bytes(layout.ingested(self.dataset) / "manifest/part.parquet", b"a manifest")
        found = manifest.fingerprint(layout.ingested(self.dataset))
        verdict = {"success": True, "manifest": found, "suite": "5" * 64, "expectations": []}
        atomic.write_json(layout.validation_file(self.dataset), verdict)
        self.prepare(layout.prepared(self.dataset))
        judge.run(self.dataset)
        self.train_and_export(self.learns)

    def train_and_export(self, settings: dict[str, Any]) -> None:
        """Write ``params.yaml`` with these overrides and run the stages from train to export."""
        model = {"family": self.family, "dataset": self.dataset, "overrides": self.small | settings}
        params = {
            "datasets": {self.dataset: "artifacts/data/digits/prepared"},
            "models": {"m": model, "c": {"family": "logreg", "dataset": self.dataset}},
            "gate": {"m": {"thresholds": self.thresholds, "max_latency_ms": 1000}},
        }
        atomic.write_text(Path("params.yaml"), yaml.safe_dump(params))
        train.run("m")
        evaluate.run("m")
        export.run("m")

    @property
    def data(self) -> PreparedData:
        """The data in the working directory."""
        return PreparedData(layout.prepared(self.dataset))


def decide() -> gate.Decision:
    """Register what was exported, and let the gate decide."""
    register.run("m")
    return gate.run("m")


def _shows(data: PreparedData, label: int) -> np.ndarray:
    """Return bool [N]: whether a test scene has an object of the class."""
    return (data.test.box_labels == label).any(axis=1)


STAGED = {
    "translation": Staged(
        family="pix2pix",
        dataset="outlines",
        dataset_file=EDGES,
        prepare=lambda folder: tiny.prepare(folder, task="translation"),
        small={"widths": [8, 16], "patch_width": 8, "epochs": 2, "least_steps": 60},
        learns={},
        forgets={"learning_rate": 1e-6},
        thresholds={"error_ratio": {"at_most": 0.8}},
        inputs=[("image", [-1, 8, 8, 1])],
        outputs=[("translated", "uint8", [-1, 8, 8, 1])],
        examples={"l1"},
        mean=("l1", "l1"),
        plots=set(),
        page=("Worst translations", "error ratio"),
        refusal=("comparison: l1: worse", "n = 80"),
    ),
    "detection": Staged(
        family="detr",
        dataset="digit_scenes",
        prepare=tiny.prepare_scenes,
        small={
            "backbone": [16, 32], "width": 32, "hidden": 64, "decoder_depth": 1, "batch_size": 16, "epochs": 1,
        },
        learns={"least_steps": 300, "learning_rate": 4e-3},
        forgets={"least_steps": 2, "learning_rate": 1e-6},
        thresholds={"ap50": {"at_least": 0.02}},
        inputs=[("image", [-1, 32, 32, 1]), ("size", [-1, 2])],
        outputs=[("boxes", "float32", [-1, -1, 4]), ("scores", "float32", [-1, -1]), ("labels", "int64", [-1, -1])],
        examples={"confidence"},
        mean=None,
        plots={"detections.png", "mistakes.png", "precision_recall.png", "query_attention.png"},
        page=("Where queries look", "Precision over recall"),
        refusal=("comparison: ap: ", "worse than the champion", "n = 23"),
        shows=_shows,
    ),
    "segmentation": Staged(
        family="segmenter",
        dataset="digit_scenes",
        prepare=tiny.prepare_scenes,
        small={
            "stem": [16, 32], "width": 32, "hidden": 64, "depth": 1, "grid": 8, "batch_size": 16, "epochs": 1,
        },
        learns={"least_steps": 100, "learning_rate": 5e-3},
        forgets={"least_steps": 2, "learning_rate": 1e-6},
        thresholds={"mean_iou": {"at_least": 0.05}},
        inputs=[("image", [-1, 32, 32, 1])],
        outputs=[("mask", "uint8", [-1, 32, 32])],
        examples={"pixel_accuracy"},
        mean=("pixel_accuracy", "pixel_accuracy"),
        plots={"masks.png", "mistakes.png", "learning_curves.png"},
        page=("Masks on test images",),
        refusal=("comparison: mean_iou: ", "worse than the champion", "n = 23"),
        shows=_shows,
    ),
    "transcription": Staged(
        family="transformer",
        dataset="digit_lines",
        prepare=tiny.prepare_lines,
        small={"channels": [8, 8, 16], "epochs": 2, "least_steps": 120, "batch_size": 32, "beams": 2},
        learns={},
        forgets={"learning_rate": 1e-6, "epochs": 1, "least_steps": 2},
        thresholds={"character_error_rate": {"at_most": 0.95}},
        inputs=[("image", [-1, 10, 44, 1])],
        outputs=[("symbols", "int64", [-1, 4]), ("confidence", "float32", [-1]), ("text", "string", [-1])],
        examples={"confidence"},
        mean=("correct", "exact_match"),
        plots=set(),
        page=("Substitutions", "By length", "character error rate"),
        refusal=("thresholds: character_error_rate",),
    ),
    "text_to_image": Staged(
        family="text_to_image",
        dataset="digit_captions",
        prepare=tiny.prepare_captions,
        small={
            "autoencoder_widths": [16, 32], "autoencoder_epochs": 12, "divergence_weight": 0.01, "widths": [32],
            "epochs": 90, "batch_size": 16, "learning_rate": 4e-3, "guidance": 4.0, "steps": 8,
        },
        learns={},
        forgets={"learning_rate": 1e-6, "epochs": 1, "autoencoder_epochs": 1},
        thresholds={"class_agreement": {"at_least": 0.15}},
        inputs=[("prompt", [-1]), ("seed", [1])],
        outputs=[("image", "uint8", [-1, 8, 8, 3])],
        examples={"predicted"},
        mean=("correct", "class_agreement"),
        plots={"samples.png", "seeds.png", "words.png", "mistakes.png", "confusion.png", "reconstructions.png"},
        page=("Where each word looks", "class agreement"),
        refusal=("comparison: class_agreement: worse", "n = 80"),
    ),
}  # fmt: skip
