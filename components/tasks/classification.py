"""Classification: one class per image. Accuracy first; log loss, macro F1, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Tensor, Tolerance, image_tensor
from components.evaluation import hooks, image_inputs
from components.evaluation.hooks import Hook
from components.metrics import bootstrap
from components.metrics.calibration import calibration_error, reliability
from components.metrics.confusion import confusion_table, macro_f1, per_class
from components.metrics.measurement import Measurement, Metric
from components.metrics.paired import Scores
from data.prepared import DataSpec, PreparedData

TOLERANCES = {"probabilities": Tolerance(1e-4)}

TOP = 3
"""An answer among this many likely classes counts as right for ``top_3_accuracy``, where there are more classes."""

COMPARED_BY_JUDGE = False

METRICS = ("accuracy", "log_loss", "macro_f1", "calibration_error", f"top_{TOP}_accuracy")

HOOKS: dict[str, Hook] = {"attention": hooks.attention, "memory": hooks.memory}

extend = hooks.nothing_more
answer = image_inputs.answer
inputs = image_inputs.inputs


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    return [image_tensor(spec)], [Tensor("probabilities", "float32", (-1, spec.num_classes))]


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return 1 for each test example that is classified right and 0 for each other one."""
    return (answers["probabilities"].argmax(axis=1) == data.test.labels).astype(np.float64)


def paired(answers: Arrays, data: PreparedData) -> list[Scores]:
    """Return whether each test example is classified right."""
    return [Scores("accuracy", "higher", scores(answers, data), data.test.labels)]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the class, and its probability."""
    yield from class_agreements(answers, columns, TOLERANCES["probabilities"])


def class_agreements(
    answers: Arrays, columns: Mapping[str, np.ndarray], tolerance: Tolerance
) -> Iterator[Agreement]:
    """Yield the class, which may differ only where it is a toss-up, and its probability."""
    probabilities = answers["probabilities"]
    gap = label_gap(probabilities, columns["predicted"])
    # Two probabilities, each off by the tolerance at most.
    toss_up = Tolerance(2 * tolerance.absolute)
    yield Agreement("predicted", "the predicted class", gap, np.zeros_like(gap), toss_up)
    confidence = probabilities.max(axis=1)
    yield Agreement("confidence", "the confidence", confidence, columns["confidence"], tolerance)


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return accuracy, log loss in nats, macro F1, calibration error, and precision, recall and F1 of each class."""
    labels, probabilities, right = data.test.labels, answers["probabilities"], scores(answers, data)
    table = confusion_table(labels, probabilities.argmax(axis=1), data.spec.num_classes)
    metrics = {
        "accuracy": Metric.of(bootstrap.proportion(right), "higher"),
        "log_loss": Metric.of(bootstrap.mean(_log_loss(probabilities, labels)), "lower"),
        "macro_f1": Metric.of(macro_f1(table), "higher"),
        "calibration_error": Metric.of(calibration_error(probabilities.max(axis=1), right), "lower"),
    }
    if data.spec.num_classes > TOP:
        most_likely = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        among = (most_likely == labels[:, None]).any(axis=1)
        metrics[f"top_{TOP}_accuracy"] = Metric.of(bootstrap.proportion(among), "higher")
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
    """Draw the confusions, the reliability and the worst mistakes, and what the family alone can tell.

    ``attention`` [N, H, W] are its maps over the first test images, ``memory`` [H] its gradients by distance. The
    confusions are written as CSV too, for ``dvc plots``.
    """
    from components.pictures import confusion, grid, memory, overlay
    from components.pictures import reliability as diagram
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
    found = reliability(probabilities.max(axis=1), predicted == labels)
    title = f"Calibration error {measured.metrics['calibration_error'].value:.3f}"
    diagram.draw(folder / "reliability.png", found.confidence, found.accuracy, found.examples, title)
    if "attention" in answers:
        maps = answers["attention"]
        shaded = overlay.shade(data.test.images[: len(maps)], maps)
        captions = [short(classes[label]) for label in labels[: len(maps)]]
        grid.draw(folder / "attention.png", shaded, captions, title="Where it looks: attention rolled out")
    if "memory" in answers:
        memory.draw(folder / "memory.png", answers["memory"])


def label_gap(probabilities: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return [N]: how far below the highest probability that of the ``predicted`` class lies."""
    return probabilities.max(axis=1) - probabilities[np.arange(len(predicted)), predicted]


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return nats per example; a probability below float32's resolution counts as that resolution."""
    right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(right, np.finfo(np.float32).eps))
