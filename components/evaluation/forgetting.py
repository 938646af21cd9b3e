"""What fine-tuning taught a text-to-image model, and what it made it forget: its classes are new, or old ones.

New are those that the data set has and the data of the model that it started from had not. Both models are asked for
the same captions, from the same seeds, and the data set's judge looks at either's images.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from components.bundles.signature import Arrays
from components.judging.judge import Judge
from components.metrics import bootstrap, nearest
from components.metrics.measurement import Metric
from data.prepared import PreparedData

SHOWN = 10
"""Captions of new classes, and as many of old ones, are shown with either model's image."""

WIDTH = 17
"""Characters of a line below an image."""


METRICS = ("new_agreement", "new_recognised", "old_agreement", "old_change")


def measure(seen: np.ndarray, answers: Arrays, data: PreparedData, labels: np.ndarray) -> dict[str, Metric]:
    """Return what the judge tells of new and old classes.

    Args:
        seen: int64 [N], the class that the judge sees in each image.
        answers: ``before`` and ``is_new`` of :func:`components.trained.base_answers.answers`.
        data: the data set.
        labels: int64 [N], the class that each image was asked to be of.

    Returns:
        ``new_agreement`` and ``old_agreement``, how often images of new and old classes are of the class that was asked
        for; ``new_recognised``, how often those of new classes are of any new one; ``old_change``, by how much
        ``old_agreement`` differs from that of the model before, pairwise. Those of classes that are not there are left
        out.
    """
    is_new = answers["is_new"]
    new, right = is_new[labels], seen == labels
    metrics = {}
    if new.any():
        metrics["new_agreement"] = bootstrap.proportion(right[new])
        metrics["new_recognised"] = bootstrap.proportion(is_new[seen[new]])
    if not new.all():
        before = Judge.of(data.spec).embed(answers["before"])[1].argmax(axis=1) == labels
        metrics["old_agreement"] = bootstrap.proportion(right[~new])
        metrics["old_change"] = bootstrap.paired(right[~new], before[~new])
    return {name: Metric.of(interval, "higher") for name, interval in metrics.items()}


def draw(path: Path, answers: Arrays, labels: np.ndarray, texts: np.ndarray) -> None:
    """Draw either model's images of the same captions and seeds, the model before above: of new classes, then of old.

    Args:
        path: the PNG to write.
        answers: ``image``, and what :func:`components.trained.base_answers.answers` gives.
        labels: int64 [N], the class that each image was asked to be of.
        texts: the N captions.
    """
    from components.pictures import grid

    is_new = answers["is_new"][labels]
    by_class = np.argsort(labels, kind="stable")  # evenly spread over the classes
    groups = [by_class[group[by_class]] for group in (is_new, ~is_new) if group.any()]
    columns = min(SHOWN, *map(len, groups))
    tiles, told = [], []
    for group in groups:
        places = nearest.evenly(group, columns)
        tiles += [*answers["before"][places], *answers["image"][places]]
        told += ["before"] * len(places) + [textwrap.fill(texts[place], WIDTH) for place in places]
    title = "Before fine-tuning above, after it below: captions of new classes, then of old ones"
    grid.draw(path, np.stack(tiles), told, columns=columns, title=title)
