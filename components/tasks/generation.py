"""Generation: new images from a seed. Distances, coverage, and bits per dimension where there is a likelihood.

The graph is asked for images of :data:`SEEDS` alone. What only the family can tell, the evaluate stage adds
to the answers: ``log_likelihood``, ``reconstruction`` and ``filled_in`` of test images, ``augmentation``, and walks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Predict, Tensor, Tolerance, image_tensor
from components.evaluation import hooks, image_inputs, inpainting, interpolations, judged_samples
from components.evaluation.hooks import Hook
from components.judging.judge import Judge
from components.metrics import bootstrap
from components.metrics.measurement import Measurement, Metric
from components.metrics.nearest import COVERED
from components.metrics.paired import Scores
from data import at_once
from data.prepared import DataSpec, PreparedData

TOLERANCES = {"image": Tolerance(1.0)}  # a grey level: a value between two levels may round either way

SEEDS = tuple(range(8))
COUNT = 128

COMPARED_BY_JUDGE = True

METRICS = (
    *judged_samples.METRICS,
    *inpainting.METRICS,
    "augmented_accuracy",
    "augmentation_gain",
    "bits_per_dim",
)

HOOKS: dict[str, Hook] = {
    "fill_in": inpainting.fill_in,
    "log_likelihood": hooks.log_likelihood,
    **interpolations.HOOKS,
}

extend = hooks.nothing_more


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    return [Tensor("seed", "int64", (1,)), Tensor("count", "int64", (1,))], [image_tensor(spec)]


def inputs(data: PreparedData, split: str, start: int, count: int) -> Arrays:
    """Return a request for ``count`` images, of another seed for each ``start``; nothing is split."""
    return {"seed": np.array([start], dtype=np.int64), "count": np.array([count], dtype=np.int64)}


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return ``image`` uint8 [1024, H, W, C]: the samples that everything is measured on."""
    parts = [predict(inputs(data, "test", seed, count))["image"] for seed, count in requests(data.spec)]
    return {"image": np.concatenate(parts)}


def requests(spec: DataSpec) -> list[tuple[int, int]]:
    """Return seed and count of each request; for large images :data:`COUNT` are asked for in parts."""
    parts = math.ceil(COUNT / at_once.pictures(spec.shape, COUNT))
    counts = [len(part) for part in np.array_split(np.arange(COUNT), parts)]
    return [(seed + len(SEEDS) * part, count) for seed in SEEDS for part, count in enumerate(counts)]


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return the bits per dimension of each test example.

    Raises:
        KeyError: the family gives no likelihood.
    """
    return image_inputs.bits_per_dim(answers["log_likelihood"], data.spec)


def kernel_distances(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return float64 [8]: the kernel distance of each seed's samples to the test images."""
    judge = Judge.of(data.spec)
    features, real = judge.embed(answers["image"])[0], judge.references()["test"]
    asked = answers.get("label")
    parts = np.split(np.arange(len(features)), len(SEEDS))
    return np.array(
        [
            judged_samples.kernel_distance(
                features[part], real, None if asked is None else asked[part], data
            ).value
            for part in parts
        ]
    )


def paired(answers: Arrays, data: PreparedData) -> list[Scores]:
    """Return the kernel distance of each seed's samples: there is no score per test example."""
    return [Scores("kernel_distance", "lower", kernel_distances(answers, data))]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield nothing: samples belong to no test example, and their metrics are compared."""
    yield from ()


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return how near the samples are to real images, as the data set's judge sees it, and what else is known.

    That is: bits per dimension where there is a likelihood, how often an image is of the class that it was asked
    to be of, the error of filling in, and what the samples bring a classifier that has few labelled images.
    """
    spec, labels = data.spec, data.test.labels
    looked = judged_samples.embed(answers["image"], data, answers.get("label"))
    metrics, judge = looked.metrics, looked.judge
    shares = np.bincount(looked.seen, minlength=spec.num_classes) / len(looked.seen)
    if "augmentation" in answers:
        without, augmented = answers["augmentation"].astype(np.float64)
        metrics["augmented_accuracy"] = Metric.of(bootstrap.proportion(augmented), "higher")
        metrics["augmentation_gain"] = Metric.of(bootstrap.paired(augmented, without), "higher")
    if "filled_in" in answers:
        metrics |= inpainting.metrics(answers["filled_in"], data)
    per_class = [
        {"class": name, "examples": int((labels == k).sum()), "share": float(shares[k])}
        for k, name in enumerate(spec.classes)
    ]
    if "log_likelihood" not in answers:
        return Measurement("kernel_distance", metrics, per_class, judge)
    bits = scores(answers, data)
    metrics["bits_per_dim"] = Metric.of(bootstrap.mean(bits), "lower")
    for row, value in zip(per_class, image_inputs.mean_by_class(bits, labels, spec.num_classes), strict=True):
        row["bits_per_dim"] = value
    return Measurement("bits_per_dim", metrics, per_class, judge)


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return the log-likelihood in nats where there is one."""
    return {name: answers[name] for name in ("log_likelihood",) if name in answers}


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw samples, coverage, and, where the family can, reconstructions and likelihoods by class."""
    from components.pictures import bars, histogram

    spec, labels = data.spec, data.test.labels
    _draw_samples(folder / "samples.png", answers)
    references = {
        "train": np.bincount(data.train.labels, minlength=spec.num_classes) / len(data.train),
        "samples": np.array([row["share"] for row in measured.per_class]),
    }
    bars.draw(
        folder / "coverage.png",
        references,
        spec.classes,
        axis="share of images",
        line=COVERED / spec.num_classes,
    )
    interpolations.draw(folder, answers, data)
    if "filled_in" in answers:
        inpainting.draw(folder / "filled_in.png", answers["filled_in"], data)
    if "log_likelihood" in answers:
        histogram.draw(
            folder / "likelihood.png", scores(answers, data), labels, spec.classes, axis="bits per dimension"
        )


def _draw_samples(path: Path, answers: Arrays) -> None:
    """Draw the first images; where classes were asked for, a row of each."""
    from components.pictures import grid

    drawn, columns = answers["image"], 8
    if "label" not in answers:
        grid.draw(path, drawn[: 8 * columns], columns=columns, title=f"Samples of seed {SEEDS[0]}")
        return
    classes = np.unique(answers["label"])
    rows = [np.flatnonzero(answers["label"] == k)[:columns] for k in classes]
    columns = min(map(len, rows))
    chosen = np.concatenate([row[:columns] for row in rows])
    grid.draw(path, drawn[chosen], columns=columns, title=f"Samples of seed {SEEDS[0]}, a row for each class")
