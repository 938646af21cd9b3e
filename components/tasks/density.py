"""Density: how likely an image is, and its class by Bayes. Bits per dimension first, then the accuracy.

What only the family can tell, the evaluate stage adds to the answers: ``filled_in``, the first test images whose
lower halves it was not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Tensor, Tolerance, image_tensor
from components.evaluation import hooks, image_inputs, inpainting
from components.evaluation.hooks import Hook
from components.metrics import bootstrap
from components.metrics.confusion import confusion_table, per_class
from components.metrics.measurement import Measurement, Metric
from components.metrics.paired import Scores
from components.tasks import classification
from data.prepared import DataSpec, PreparedData

TOLERANCES = {
    # float32 sums of one term per pixel: an error in proportion to the sum, and a posterior that is as far
    # off as the difference of two such sums.
    "log_likelihood": Tolerance(1e-3, relative=1e-5),
    "probabilities": Tolerance(1e-3),
}

COMPARED_BY_JUDGE = False

METRICS = ("bits_per_dim", "bayes_accuracy", *inpainting.METRICS)

HOOKS: dict[str, Hook] = {"fill_in": inpainting.fill_in}

extend = hooks.nothing_more
answer = image_inputs.answer
inputs = image_inputs.inputs


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    outputs = [
        Tensor("log_likelihood", "float32", (-1,)),
        Tensor("probabilities", "float32", (-1, spec.num_classes)),
    ]
    return [image_tensor(spec)], outputs


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return the bits per dimension of each test example."""
    return image_inputs.bits_per_dim(answers["log_likelihood"], data.spec)


def paired(answers: Arrays, data: PreparedData) -> list[Scores]:
    """Return the bits per dimension of each test example, and whether its class by Bayes is right."""
    right = answers["probabilities"].argmax(axis=1) == data.test.labels
    return [
        Scores("bits_per_dim", "lower", scores(answers, data), data.test.labels),
        Scores("bayes_accuracy", "higher", right.astype(np.float64)),
    ]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the class by Bayes, its probability, and the log-likelihood."""
    yield from classification.class_agreements(answers, columns, TOLERANCES["probabilities"])
    name = "log_likelihood"
    yield Agreement(name, f"{name!r}", answers[name], columns[name], TOLERANCES[name])


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return bits per dimension and the accuracy of the class by Bayes, over all and per class.

    And the error of filling in, where something was filled in.
    """
    labels, bits = data.test.labels, scores(answers, data)
    predicted = answers["probabilities"].argmax(axis=1)
    metrics = {
        "bits_per_dim": Metric.of(bootstrap.mean(bits), "lower"),
        "bayes_accuracy": Metric.of(bootstrap.proportion(predicted == labels), "higher"),
    }
    if "filled_in" in answers:
        metrics |= inpainting.metrics(answers["filled_in"], data)
    table = per_class(confusion_table(labels, predicted, data.spec.num_classes), data.spec.classes)
    bits_by_class = image_inputs.mean_by_class(bits, labels, data.spec.num_classes)
    for row, value in zip(table, bits_by_class, strict=True):
        row["bits_per_dim"] = value
    return Measurement("bits_per_dim", metrics, table)


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return the log-likelihood in nats, the class by Bayes, its probability, and whether it is right."""
    return classification.rows(answers, data) | {"log_likelihood": answers["log_likelihood"]}


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw the likelihoods by class, the least likely images, the confusions of the class by Bayes, filled images."""
    from components.pictures import confusion, grid, histogram
    from components.pictures.style import short

    labels, classes, bits = data.test.labels, data.spec.classes, scores(answers, data)
    predicted = answers["probabilities"].argmax(axis=1)
    confusion.draw(folder / "confusion.png", confusion_table(labels, predicted, len(classes)), classes)
    confusion.write(folder / "confusion.csv", labels, predicted, classes)
    histogram.draw(folder / "likelihood.png", bits, labels, classes, axis="bits per dimension")
    least = np.argsort(-bits, kind="stable")[:24]
    captions = [f"{short(classes[labels[i]])}\n{bits[i]:.2f} bits" for i in least]
    grid.draw(
        folder / "least_likely.png", data.test.images[least], captions, title="Least likely test examples"
    )
    if "filled_in" in answers:
        inpainting.draw(folder / "filled_in.png", answers["filled_in"], data)
