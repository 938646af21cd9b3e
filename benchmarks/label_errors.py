"""How many wrong labels are found, and how many right ones are suspected: noise is injected into Fashion-MNIST.

``python -m benchmarks.label_errors [--examples 10000] [--noise 0.05] [--kind uniform] [--by network] [--json FILE]``.
A share of the labels is replaced by one of the other classes, each as likely (``--kind uniform``) or, of each label,
always by the same (``--kind pairs``: pullover for coat, as people confuse them). Then it is looked for as the stage
``labels`` does; ``--by`` takes another classifier, a family with its quick preset. What the publishers mislabelled
themselves counts as right here, so precision is a lower bound.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import torch

import models
from benchmarks.command import described, keep
from components.judging.network import Lesson
from components.label_errors import confident, out_of_fold
from data import spec as specs
from data.prepared import DataSpec, Split
from data.sources import torchvision
from models.run import Run
from models.settings import configure

FILE = Path("data/fashion_mnist/dataset.yaml")
CONFUSED = {"T-shirt/top": "Shirt", "Shirt": "T-shirt/top", "Pullover": "Coat", "Coat": "Pullover"}
CONFUSED |= {"Sneaker": "Ankle boot", "Ankle boot": "Sneaker", "Sandal": "Sneaker", "Dress": "Coat"}
CONFUSED |= {"Trouser": "Dress", "Bag": "Shirt"}


def clothes(count: int, seed: int) -> tuple[Split, DataSpec]:
    """Return ``count`` of the train images, drawn by ``seed``, and what networks must know of them."""
    settings = specs.load(FILE)
    arrays = torchvision.load("fashion_mnist", settings)
    of_train = np.flatnonzero([split == "train" for split in arrays.splits])
    rows = np.sort(np.random.default_rng(seed).choice(of_train, count, replace=False))
    images, classes = arrays.images[rows], tuple(settings.classes or ())
    labels = np.array([classes.index(arrays.labels[row] or "") for row in rows], np.int64)
    digests = b"".join(hashlib.sha256(image.tobytes()).digest()[:8] for image in images)
    contents = np.frombuffer(digests, ">i8").astype(np.int64)
    values = images / 255
    spec = DataSpec(
        name="clothes",
        task="classification",
        classes=classes,
        height=28,
        width=28,
        channels=1,
        levels=256,
        mean=(float(values.mean()),),
        std=(float(values.std()),),
        sha256="0" * 64,
    )
    return Split(images, labels, [arrays.ids[row] for row in rows], contents), spec


def noisy(labels: np.ndarray, classes: tuple[str, ...], share: float, kind: str, seed: int) -> np.ndarray:
    """Return ``labels`` int64 [N] of which ``share`` is wrong."""
    random = np.random.default_rng([seed, 1])
    rows = random.choice(len(labels), round(share * len(labels)), replace=False)
    found = labels.copy()
    if kind == "uniform":
        found[rows] = (labels[rows] + random.integers(1, len(classes), len(rows))) % len(classes)
    else:
        found[rows] = np.array([classes.index(CONFUSED[name]) for name in classes])[labels[rows]]
    return found


def by_family(name: str, examples: Split, spec: DataSpec, count: int) -> np.ndarray:
    """Return what :func:`out_of_fold.predict` does, by another classifier."""
    family = models.family(name)
    fold = out_of_fold.folds(examples.contents, count)
    found = np.empty((len(examples), spec.num_classes), np.float32)
    for number in range(count):
        asked, chooses = fold == number, fold == (number + 1) % count
        lesson = Lesson(*(examples.take(np.flatnonzero(rows)) for rows in (~asked & ~chooses, chooses)))
        with Run(f"{name}, fold {number + 1} of {count}") as run:
            model = family.build(configure(family.Config, "quick", {}, name), spec)
            family.fit(model, lesson, run)
        graph = family.graph(model)
        with torch.no_grad():
            for rows in np.array_split(np.flatnonzero(asked), -(-asked.sum() // 500)):
                found[rows] = graph(torch.tensor(examples.images[rows]))
    return found


def curve(given: np.ndarray, is_wrong: np.ndarray) -> dict[str, float]:
    """Return how precise the ranking is where it has found given shares of the wrong labels."""
    right = np.cumsum(is_wrong[np.argsort(given, kind="stable")])
    at = {share: int(np.searchsorted(right, share * is_wrong.sum())) for share in (0.5, 0.8, 0.9)}
    return {f"precision at recall {share}": float(right[place] / (place + 1)) for share, place in at.items()}


def main() -> None:
    """Measure and print."""
    parser = described(__doc__)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--kind", choices=("uniform", "pairs"), default="uniform")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--by", default="network", help="the stage's own network, or a family of classification"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clean, spec = clothes(options.examples, options.seed)
    labels = noisy(clean.labels, spec.classes, options.noise, options.kind, options.seed)
    examples = Split(clean.images, labels, clean.ids, clean.contents)
    started = time.process_time()
    if options.by == "network":
        probabilities = out_of_fold.predict(examples, spec, options.folds)
    else:
        probabilities = by_family(options.by, examples, spec, options.folds)
    processor_s = time.process_time() - started
    found, is_wrong = confident.find(probabilities, labels), labels != clean.labels
    caught = int((found.is_likely & is_wrong).sum())
    told = {
        "accuracy on the true labels": float((probabilities.argmax(axis=1) == clean.labels).mean()),
        "injected": int(is_wrong.sum()),
        "likely": int(found.is_likely.sum()),
        "precision": caught / max(1, int(found.is_likely.sum())),
        "recall": caught / max(1, int(is_wrong.sum())),
        "share": found.share,
        **(curve(found.given, is_wrong) if is_wrong.any() else {}),
        "processor s": processor_s,
    }
    for name, value in told.items():
        print(f"{name}: {value:.4g}")
    keep(vars(options) | told, options.json)


if __name__ == "__main__":
    main()
