"""What the judge of a data set sees in samples, whatever they were drawn by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.judging.judge import Judge
from components.metrics import bootstrap, distribution_distances, manifold, nearest
from components.metrics.bootstrap import Interval
from components.metrics.measurement import Metric
from data.prepared import PreparedData

METRICS = (
    "kernel_distance",
    "frechet_distance",
    "frechet_distance_test",
    "precision",
    "recall",
    "classes_covered",
    "memorised",
    "class_agreement",
)


@dataclass(frozen=True)
class Looked:
    """What it saw.

    Attributes:
        judge: the judge's SHA-256.
        probabilities: float32 [N, K] of each sample's classes.
        metrics: how near the samples are to real images; where classes were asked for, also how often it sees them.
    """

    judge: str
    probabilities: np.ndarray
    metrics: dict[str, Metric]

    @property
    def seen(self) -> np.ndarray:
        """The most likely class of each sample, int64 [N]."""
        return self.probabilities.argmax(axis=1)


def embed(images: np.ndarray, data: PreparedData, asked: np.ndarray | None = None) -> Looked:
    """Let the judge look at the samples uint8 [N, H, W, C], which were ``asked`` to be of classes int64 [N]."""
    judge = Judge.of(data.spec)
    features, probabilities = judge.embed(images)
    seen, real = probabilities.argmax(axis=1), judge.references()
    shares = np.bincount(seen, minlength=data.spec.num_classes) / len(seen)
    precision, recall = manifold.precision_recall(features, real["train"])
    metrics = {
        "kernel_distance": Metric.of(kernel_distance(features, real["test"], asked, data), "lower"),
        "frechet_distance": Metric.of(distribution_distances.frechet(features, real["train"]), "lower"),
        "frechet_distance_test": Metric.of(distribution_distances.frechet(features, real["test"]), "lower"),
        "precision": Metric.of(precision, "higher"),
        "recall": Metric.of(recall, "higher"),
        "classes_covered": Metric.of(nearest.classes_covered(shares, len(seen)), "higher"),
        "memorised": Metric.of(nearest.memorised(images, data), "lower"),
    }
    if asked is not None:
        metrics["class_agreement"] = Metric.of(bootstrap.proportion(seen == asked), "higher")
    return Looked(judge.sha256, probabilities, metrics)


def kernel_distance(
    features: np.ndarray, real: np.ndarray, asked: np.ndarray | None, data: PreparedData
) -> Interval:
    """Return the kernel distance of samples' ``features`` [N, 64] to the ``real`` ones of the test images."""
    return distribution_distances.kernel(features, real, asked, nearest.evenly(data.test.labels))
