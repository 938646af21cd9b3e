"""Text to image: an image for a caption. How often the data set's judge sees the class that the caption is of.

The test split's captions are asked for, one image each, in its order and from fixed seeds: two models draw from the
same words and the same noise, and are compared pairwise.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Predict, Tensor, Tolerance, image_tensor
from components.evaluation import forgetting, hooks, image_inputs, interpolations, judged_samples, prompts
from components.evaluation.hooks import Evaluated, Hook
from components.judging.judge import Judge
from components.metrics import nearest
from components.metrics.confusion import confusion_table
from components.metrics.measurement import Measurement
from components.metrics.paired import Scores
from data import at_once
from data.captions import PADDING
from data.prepared import DataSpec, PreparedData

TOLERANCES = {"image": Tolerance(1.0)}  # a grey level: a value between two levels may round either way

DIVERGED = 0.01
"""Share of another runtime's images in which the judge may see another class: one between two may tip over."""

CAPTIONS = 512
"""Greatest number of test captions that are drawn, evenly spread: a sampler takes many steps for each."""

BATCH = 64
"""Most captions that are drawn at a time; of large images fewer."""

SHOWN, SEEDS = 24, 8
WIDTH = 22
"""Characters of a line below an image."""


def _word_attention(tell: Callable[..., Any], model: Evaluated) -> Arrays:
    return {"word_attention": tell(prompts.shown(model.data), seed=0)}


COMPARED_BY_JUDGE = True

METRICS = (*judged_samples.METRICS, *forgetting.METRICS)

HOOKS: dict[str, Hook] = {
    "word_attention": _word_attention,
    "reconstruct": interpolations.HOOKS["reconstruct"],
}

extend = hooks.nothing_more


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the exported graph; in PyTorch a prompt is its tokens (:mod:`.prompts`)."""
    return [Tensor("prompt", "string", (-1,)), Tensor("seed", "int64", (1,))], [image_tensor(spec)]


def inputs(data: PreparedData, split: str, start: int, count: int) -> Arrays:
    """Return ``count`` captions of ``split`` from ``start`` on, and another seed for each ``start``."""
    rows = image_inputs.cycled(getattr(data, split).captions, start, count)
    return _request(prompts.spelled(rows, data.spec), start)


def asked(data: PreparedData) -> np.ndarray:
    """Return the places in the test split of the examples whose captions are asked for, int64 [N]."""
    return nearest.evenly(data.test.places, CAPTIONS)


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return an image for each caption that is asked for, and some captions' from several seeds, for pictures.

    Returns:
        ``image`` uint8 [N, H, W, C], as :func:`asked`; ``by_seed`` uint8 [R, S, H, W, C], as :func:`.prompts.shown`.
    """
    image = asked_for(predict, data)
    repeated = prompts.spelled(prompts.shown(data), data.spec)
    by_seed = [predict(_request(repeated, seed))["image"] for seed in range(SEEDS)]
    return {"image": image, "by_seed": np.stack(by_seed, axis=1)}


def asked_for(predict: Predict, data: PreparedData) -> np.ndarray:
    """Return an image for each caption that is asked for, uint8 [N, H, W, C]."""
    texts = prompts.spelled(data.test.captions[asked(data)], data.spec)
    size = at_once.pictures(data.spec.shape, BATCH)
    parts = [
        predict(_request(texts[start : start + size], seed))["image"]
        for seed, start in enumerate(range(0, len(texts), size))
    ]
    return np.concatenate(parts)


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return 1 for each image in which the judge sees the class of its caption, and 0 for each other one."""
    seen = _probabilities(answers, data).argmax(axis=1)
    return (seen == data.test.labels[asked(data)]).astype(np.float64)


def paired(answers: Arrays, data: PreparedData) -> list[Scores]:
    """Return whether the judge sees the class of each caption that is asked for."""
    return [Scores("class_agreement", "higher", scores(answers, data), data.test.labels[asked(data)])]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the share of images in which the judge sees another class."""
    yield seen_agreement(rows(answers, data)["predicted"], columns)


def seen_agreement(seen: np.ndarray, columns: Mapping[str, np.ndarray]) -> Agreement:
    """Return the share of images in which the judge sees, int64 [N], another class than it saw in PyTorch's."""
    differ = seen != columns["predicted"]
    tolerance = Tolerance(max(DIVERGED, 1 / len(differ)))
    what = "images of which another class is seen"
    return Agreement("predicted", what, differ.mean(keepdims=True), np.zeros(1), tolerance)


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return how often images are of their caption's class, over all and by class, and how near real ones they are."""
    labels = data.test.labels[asked(data)]
    looked = judged_samples.embed(answers["image"], data, labels)
    metrics = looked.metrics
    if "before" in answers:
        metrics = metrics | forgetting.measure(looked.seen, answers, data, labels)
    agreement = image_inputs.mean_by_class(looked.seen == labels, labels, data.spec.num_classes)
    per_class = [
        {"class": name, "examples": int((labels == k).sum()), "class_agreement": agreement[k]}
        for k, name in enumerate(data.spec.classes)
    ]
    return Measurement("class_agreement", metrics, per_class, looked.judge)


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return, of the captions that are asked for, the text and what the judge sees in the image: class, how sure."""
    places = asked(data)
    probabilities = _probabilities(answers, data)
    seen = probabilities.argmax(axis=1)
    return {
        "id": np.array(data.test.ids)[places],
        "label": data.test.labels[places],
        "caption": prompts.spelled(data.test.captions[places], data.spec),
        "predicted": seen,
        "confidence": probabilities.max(axis=1),
        "correct": seen == data.test.labels[places],
    }


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw images with their captions, the same captions from several seeds, the worst mistakes, and what is seen.

    Of a model that was fine-tuned also what the model before made of the same captions.
    """
    from components.pictures import confusion, grid

    spec, labels = data.spec, data.test.labels[asked(data)]
    texts = prompts.spelled(data.test.captions[asked(data)], spec)
    probabilities = _probabilities(answers, data)
    seen, drawn = probabilities.argmax(axis=1), answers["image"]
    some = nearest.evenly(np.arange(len(drawn)), SHOWN)
    worst = np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")[:SHOWN]
    told = {i: f"seen as {spec.classes[seen[i]]}, {probabilities[i, seen[i]]:.0%}" for i in worst}
    grid.draw(
        folder / "samples.png",
        drawn[some],
        [textwrap.fill(texts[i], WIDTH) for i in some],
        columns=6,
        title="Images for captions of the test split",
        cell=160,
    )
    grid.draw(
        folder / "mistakes.png",
        drawn[worst],
        [f"{textwrap.fill(texts[i], WIDTH)}\n{told[i]}" for i in worst],
        seen[worst] != labels[worst],
        columns=6,
        title="Images in which the judge sees least of what was asked for",
        cell=160,
    )
    captions = [
        text if seed == 0 else ""
        for text in prompts.spelled(prompts.shown(data), spec)
        for seed in range(SEEDS)
    ]
    by_seed = answers["by_seed"].reshape(-1, *spec.shape)
    grid.draw(
        folder / "seeds.png",
        by_seed,
        captions,
        columns=SEEDS,
        title="One caption in each row, a seed in each column",
    )
    confusion.draw(folder / "confusion.png", confusion_table(labels, seen, spec.num_classes), spec.classes)
    confusion.write(folder / "confusion.csv", labels, seen, spec.classes)
    interpolations.draw(folder, answers, data)
    if "word_attention" in answers:
        _draw_words(folder / "words.png", answers, data)
    if "before" in answers:
        forgetting.draw(folder / "before_and_after.png", answers, labels, texts)


def _draw_words(path: Path, answers: Arrays, data: PreparedData) -> None:
    """Draw where each word looks: in each row an image of the first seed, and its words, bright where they look."""
    from components.pictures import grid, overlay

    names = ["", "(unknown)", *data.spec.words]
    tiles, told = [], []
    for image, maps, tokens in zip(
        answers["by_seed"][:, 0], answers["word_attention"], prompts.shown(data), strict=True
    ):
        coloured = np.broadcast_to(image, (*image.shape[:2], 3))
        looked = overlay.shade(np.broadcast_to(image, (len(maps), *image.shape)), maps)
        looked[tokens == PADDING] = 255
        tiles += [coloured, *looked]
        told += ["", *(names[token] for token in tokens)]
    columns = 1 + data.spec.longest_caption
    grid.draw(path, np.stack(tiles), told, columns=columns, title="Where each word looks")


def _request(texts: np.ndarray, seed: int) -> Arrays:
    return {"prompt": texts, "seed": np.array([seed], dtype=np.int64)}


def _probabilities(answers: Arrays, data: PreparedData) -> np.ndarray:
    return Judge.of(data.spec).embed(answers["image"])[1]
