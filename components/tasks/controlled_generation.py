"""Controlled generation: an image for an edge map and a caption. How well the image's own edges agree with the map.

The test split's captions are asked for, each with its edge map, one image each, in its order and from fixed seeds, as
of text to image: what the model that this one starts from draws of the same words and noise shows what the map adds.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Predict, Tensor, Tolerance, image_tensor
from components.evaluation import hooks, image_inputs, judged_samples, prompts
from components.evaluation.hooks import Hook
from components.metrics import bootstrap
from components.metrics.edge_agreement import f1
from components.metrics.measurement import Measurement, Metric
from components.metrics.nearest import evenly
from components.metrics.paired import Scores
from components.tasks import text_to_image
from components.tasks.text_to_image import BATCH, WIDTH, asked, seen_agreement
from data import at_once
from data.prepared import DataSpec, PreparedData

__all__ = [
    "COMPARED_BY_JUDGE",
    "HOOKS",
    "TOLERANCES",
    "agreements",
    "answer",
    "asked",
    "draw",
    "extend",
    "inputs",
    "measure",
    "paired",
    "rows",
    "scores",
    "signature",
]

TOLERANCES = {"drawn": Tolerance(1.0)}  # as of text to image

SHOWN = 12

COMPARED_BY_JUDGE = False

METRICS = ("edge_f1", "edge_f1_before", "edge_f1_ratio", *judged_samples.METRICS)

HOOKS: dict[str, Hook] = {}

extend = hooks.nothing_more


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the exported graph; in PyTorch a prompt is its tokens (:mod:`.prompts`)."""
    image = Tensor("image", "uint8", (-1, spec.height, spec.width, spec.input_channels))
    drawn, (prompt, seed) = image_tensor(spec), text_to_image.signature(spec)[0]
    return [image, prompt, seed], [Tensor("drawn", drawn.dtype, drawn.shape)]


def inputs(data: PreparedData, split: str, start: int, count: int) -> Arrays:
    """Return ``count`` edge maps and captions of ``split`` from ``start`` on, and another seed for each ``start``."""
    maps = image_inputs.cycled(getattr(data, split).inputs, start, count)
    return {"image": maps, **text_to_image.inputs(data, split, start, count)}


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return an image for each caption that is asked for, ``drawn`` uint8 [N, H, W, C], as :func:`asked`."""
    texts, maps = prompts.spelled(data.test.captions[asked(data)], data.spec), _maps(data)
    parts, size = [], at_once.pictures(data.spec.shape, BATCH)
    for seed, start in enumerate(range(0, len(texts), size)):
        part = slice(start, start + size)
        given = {"image": maps[part], "prompt": texts[part], "seed": np.array([seed], np.int64)}
        parts.append(predict(given)["drawn"])
    return {"drawn": np.concatenate(parts)}


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return the F1 of each image's edges."""
    return f1(answers["drawn"], _maps(data))


def paired(answers: Arrays, data: PreparedData) -> list[Scores]:
    """Return the F1 of each image's edges."""
    return [Scores("edge_f1", "higher", scores(answers, data), data.test.labels[asked(data)])]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the share of images in which the judge sees another class."""
    yield seen_agreement(rows(answers, data)["predicted"], columns)


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return how well images keep to their edge maps, how often they are of their class, how near real ones they are.

    With ``before``, what the model before drew without the maps: its F1, ``edge_f1_before``, and how many times that
    ours is, ``edge_f1_ratio``.
    """
    labels, ours = data.test.labels[asked(data)], scores(answers, data)
    looked = judged_samples.embed(answers["drawn"], data, labels)
    metrics = {"edge_f1": Metric.of(bootstrap.mean(ours), "higher")} | looked.metrics
    if "before" in answers:
        before = f1(answers["before"], _maps(data))
        metrics["edge_f1_before"] = Metric.of(bootstrap.mean(before), "higher")
        metrics["edge_f1_ratio"] = Metric.of(image_inputs.ratio(ours, before), "higher")
    by_class = [
        image_inputs.mean_by_class(values, labels, data.spec.num_classes)
        for values in (ours, looked.seen == labels)
    ]
    per_class = [
        {
            "class": name,
            "examples": int((labels == k).sum()),
            "edge_f1": by_class[0][k],
            "class_agreement": by_class[1][k],
        }
        for k, name in enumerate(data.spec.classes)
    ]
    return Measurement("edge_f1", metrics, per_class, looked.judge)


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return, of the captions that are asked for, the text, the F1, and what the judge sees in the image."""
    return text_to_image.rows({"image": answers["drawn"]}, data) | {"edge_f1": scores(answers, data)}


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw edge maps, what the model before made of their captions alone, what is made of both, and real images."""
    order = np.argsort(scores(answers, data), kind="stable")
    _draw(
        folder / "controlled.png", evenly(np.arange(len(order)), SHOWN), answers, data, "Drawn by edge maps"
    )
    _draw(folder / "worst_controlled.png", order[:SHOWN], answers, data, "Least as their edge maps want them")


def _draw(path: Path, chosen: np.ndarray, answers: Arrays, data: PreparedData, title: str) -> None:
    from components.pictures import grid

    places = asked(data)[chosen]
    texts = prompts.spelled(data.test.captions[places], data.spec)
    rows = {"edge map": data.test.inputs[places]}
    if "before" in answers:
        rows["without it"] = answers["before"][chosen]
    rows |= {"with it": answers["drawn"][chosen], "real": data.test.images[places]}
    coloured = np.concatenate([np.broadcast_to(row, (*row.shape[:3], 3)) for row in rows.values()])
    told = [textwrap.fill(text, WIDTH) if name == "with it" else "" for name in rows for text in texts]
    grid.draw(path, coloured, told, columns=len(chosen), title=f"{title}: {', '.join(rows)}", cell=120)


def _maps(data: PreparedData) -> np.ndarray:
    return data.test.inputs[asked(data)]
