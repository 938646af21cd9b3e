"""Classification: one class per image. Accuracy first, with log loss and macro F1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from components import bootstrap
from components.tasks import Arrays, Measurement, Metric, Tensor, Tolerance, images
from components.tasks.confusion import confusion_table, macro_f1, per_class
from data.prepared import DataSpec, PreparedData

TOLERANCES = {"probabilities": Tolerance(1e-4)}

answer = images.answer
inputs = images.inputs


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    return [images.tensor(spec)], [Tensor("probabilities", "float32", (-1, spec.num_classes))]


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return 1 for each test example that is classified right and 0 for each other one."""
    return (answers["probabilities"].argmax(axis=1) == data.test.labels).astype(np.float64)


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return accuracy, log loss in nats, macro F1, and precision, recall and F1 of each class."""
    labels = data.test.labels
    table = confusion_table(labels, answers["probabilities"].argmax(axis=1), data.spec.num_classes)
    metrics = {
        "accuracy": Metric.of(bootstrap.proportion(scores(answers, data)), "higher"),
        "log_loss": Metric.of(bootstrap.mean(_log_loss(answers["probabilities"], labels)), "lower"),
        "macro_f1": Metric.of(macro_f1(table), "higher"),
    }
    return Measurement("accuracy", metrics, per_class(table, data.spec.classes))


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return the predicted class, its probability, and whether it is right."""
    probabilities = answers["probabilities"]
    return {
        "predicted": probabilities.argmax(axis=1),
        "confidence": probabilities.max(axis=1),
        "correct": probabilities.argmax(axis=1) == data.test.labels,
    }


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw the confusion matrix and the worst mistakes; write the confusions as CSV for ``dvc plots``."""
    from components.pictures import confusion, grid
    from components.pictures.style import short

    probabilities, labels, classes = answers["probabilities"], data.test.labels, data.spec.classes
    predicted = probabilities.argmax(axis=1)
    confusion.draw(folder / "confusion.png", confusion_table(labels, predicted, len(classes)), classes)
    confusion.write(folder / "confusion.csv", labels, predicted, classes)
    # The worst: the least probability on what is right. With few mistakes, the narrowest right answers
    # follow.
    worst = np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")[:24]
    wrong = predicted[worst] != labels[worst]
    captions = [
        f"{short(classes[labels[i]])}\n{f'as {short(classes[predicted[i]], 12)}' if bad else 'right'}"
        f"\n{probabilities[i, predicted[i]]:.0%} sure"
        for i, bad in zip(worst, wrong, strict=True)
    ]
    grid.draw(
        folder / "mistakes.png", data.test.images[worst], captions, wrong, title="Hardest test examples"
    )


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return nats per example; a probability below float32's resolution counts as that resolution."""
    right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(right, np.finfo(np.float32).eps))
