"""What a graph takes from people and what its outputs tell them, by task: NumPy and Pillow only.

An answer is a dict of plain JSON values and of pictures (Pillow images):

=========================  ==============================================================================
``classification``         ``scores``: ``[{"label", "score"}, ...]``, the most likely first
``density``                ``scores`` as above, ``log_likelihood`` (nats), ``bits_per_dim``
``translation``            ``image``
``reenactment``            ``image``
``generation``             ``images``
``detection``              ``objects``: ``[{"label", "score", "box": {"xmin", "ymin", "xmax", "ymax"}}, ...]`` in pixels
                           of the picture as it came, the surest first
``segmentation``           ``mask``: of the size that the graph reads, with a palette: 0 the ground, k + 1 class k; and
                           ``segments``: ``[{"label", "share", "color"}, ...]`` of the classes that are on it
``transcription``          ``text``, ``confidence``
``text_to_image``          ``images``
``controlled_generation``  ``image``
=========================  ==============================================================================
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from data import captions
from data.errors import UserError, nearest

Answer = dict[str, Any]
Description = Mapping[str, Any]
"""The values of ``bundle.json``."""

EVERY = -1
"""The label that asks a generator for every class in turn."""

PNG = "data:image/png;base64,"

SURE = 0.5
"""From this score on an object is told."""


def inputs(description: Description, prepared: np.ndarray, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return what a graph takes for one picture.

    Args:
        description: what ``bundle.json`` says of the graph.
        prepared: the picture as :meth:`components.bundles.bundle.Bundle.prepare_image` made it.
        size: width and height of the picture as it came, which a detector's boxes are given in.
    """
    asked = {"image": prepared}
    if any(tensor["name"] == "size" for tensor in description["inputs"]):
        asked["size"] = np.array([[size[1], size[0]]], np.int64)
    return asked


def read(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return an answer for each example; of what draws images one answer, with all of them.

    Args:
        description: what ``bundle.json`` says of the graph.
        outputs: arrays by output name, as the graph gave them.
    """
    return READERS[description["task"]](description, outputs)


def request(
    description: Description,
    seed: int = 0,
    count: int = 1,
    label: str | None = None,
    prompt: str | None = None,
) -> dict[str, np.ndarray]:
    """Return what a graph that draws takes for ``count`` images of ``seed``.

    Args:
        description: what ``bundle.json`` says of the graph.
        seed: -2**63 to 2**63 - 1; image ``i`` of a seed does not depend on ``count``.
        count: at least 1.
        label: a class by its name; of every class in turn without it.
        prompt: what to draw, where the model draws by words; none, "", for whatever it comes to.

    Raises:
        UserError: a value is out of range, there is no such class or word, the prompt is missing or too long, or the
            model draws none by class or by words.
    """
    name = description["name"]
    asked = {"seed": np.array([_within(description, "seed", seed, -(2**63), 2**63 - 1)], np.int64)}
    _within(description, "count", count, 1, 2**31 - 1)
    if description["task"] == "text_to_image":
        if label is not None:
            raise UserError(f"{name}: draws what a prompt says; leave the label out.")
        text = _known_words(description, prompt)
        return {"prompt": np.array([text] * count, dtype=object)} | asked
    if prompt is not None:
        raise UserError(f"{name}: reads no prompt; leave it out.")
    asked["count"] = np.array([count], np.int64)
    if draws_by_class(description):
        asked["label"] = np.array([EVERY if label is None else _class(description, label)], np.int64)
    elif label is not None:
        raise UserError(f"{name}: draws no images by class; leave the label out.")
    return asked


def controlled(
    description: Description, prepared: np.ndarray, prompt: str | None = None, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return what a graph takes that draws by an edge map and by words.

    Args:
        description: what ``bundle.json`` says of the graph.
        prepared: the edge map as :meth:`components.bundles.bundle.Bundle.prepare_image` made it.
        prompt: what to draw, as of :func:`request`.
        seed: -2**63 to 2**63 - 1.

    Raises:
        UserError: the prompt is missing or too long, or has an unknown word; the seed is out of range.
    """
    return {"image": prepared, "prompt": np.array([_known_words(description, prompt)], dtype=object)} | {
        "seed": np.array([_within(description, "seed", seed, -(2**63), 2**63 - 1)], np.int64)
    }


def draws_by_class(description: Description) -> bool:
    """Whether a generator can be asked for a class."""
    return any(tensor["name"] == "label" for tensor in description["inputs"])


def landmarks(description: Description, points: Sequence[Sequence[float]]) -> np.ndarray:
    """Return float32 [1, L, 2] of as many points as the graph takes, in [0, 1] of the picture's sides.

    Raises:
        UserError: they are no points, too many or too few, or not finite.
    """
    wanted = next(tensor["shape"][1] for tensor in description["inputs"] if tensor["name"] == "landmarks")
    try:
        values = np.asarray(points, dtype=np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, np.float32)
    if values.shape != (wanted, 2) or not np.isfinite(values).all():
        told = f"must be {wanted} points [x, y] in [0, 1] of the picture's sides"
        raise UserError(f"{description['name']}: landmarks {told}.")
    return values[None]


def to_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON values: pictures become ``data:`` URLs of PNG files."""

    def plain(value: Any) -> Any:
        if isinstance(value, Image.Image):
            return PNG + base64.b64encode(png(value)).decode()
        return [plain(item) for item in value] if isinstance(value, list) else value

    return {key: plain(value) for key, value in answer.items()}


def from_json(values: Mapping[str, Any]) -> Answer:
    """Return the answer that :func:`to_json` was given."""

    def opened(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(PNG):
            return Image.open(io.BytesIO(base64.b64decode(value.removeprefix(PNG))), formats=("PNG",))
        return [opened(item) for item in value] if isinstance(value, list) else value

    return {key: opened(value) for key, value in values.items()}


def png(image: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def picture(values_hwc: np.ndarray) -> Image.Image:
    """Return uint8 [H, W, 1] or [H, W, 3] as a picture."""
    return Image.fromarray(values_hwc[:, :, 0] if values_hwc.shape[2] == 1 else values_hwc)


def sheet(images: Sequence[Image.Image]) -> Image.Image:
    """Return images of one size side by side, in rows of a square."""
    columns = math.isqrt(len(images) - 1) + 1
    width, height = images[0].size
    rows = -(-len(images) // columns)
    whole = Image.new(images[0].mode, (columns * width, rows * height))
    for place, image in enumerate(images):
        whole.paste(image, (place % columns * width, place // columns * height))
    return whole


def _known_words(description: Description, prompt: str | None) -> str:
    """Return the words of a prompt with a blank between them, which is how its graph takes them apart."""
    name, known, longest = description["name"], description["words"], description["longest_caption"]
    if prompt is None:
        raise UserError(f"{name}: draws what a prompt says: give it one. Its words are: {', '.join(known)}.")
    words = captions.words(prompt)
    for word in words:
        if word not in known:
            raise UserError(
                f"{name}: the prompt has a word it does not know, {word!r}.{nearest(word, known)}"
            )
    if len(words) > longest:
        raise UserError(f"{name}: the prompt has {len(words)} words; it reads at most {longest}.")
    return " ".join(words)


def _within(description: Description, key: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise UserError(f"{description['name']}: {key} must be {least} to {most}, not {value}.")
    return value


def _class(description: Description, label: str) -> int:
    if label not in description["classes"]:
        told = nearest(label, description["classes"])
        raise UserError(f"{description['name']}: no class {label!r}.{told}")
    return description["classes"].index(label)


def _classification(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    classes = description["classes"]
    return [
        {"scores": [{"label": classes[k], "score": float(row[k])} for k in np.argsort(-row, kind="stable")]}
        for row in outputs["probabilities"]
    ]


def _density(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    (image,) = (tensor["shape"] for tensor in description["inputs"])
    nats_per_bit = math.log(2) * math.prod(image[1:])
    return [
        {**answer, "log_likelihood": float(nats), "bits_per_dim": float(-nats) / nats_per_bit}
        for answer, nats in zip(_classification(description, outputs), outputs["log_likelihood"], strict=True)
    ]


def _picture(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    (images,) = outputs.values()
    return [{"image": picture(image)} for image in images]


def _generation(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    return [{"images": [picture(image) for image in outputs["image"]]}]


def _detection(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    corners, classes = ("xmin", "ymin", "xmax", "ymax"), description["classes"]
    found = []
    for boxes, scores, labels in zip(outputs["boxes"], outputs["scores"], outputs["labels"], strict=True):
        surest = [q for q in np.argsort(-scores, kind="stable") if scores[q] >= SURE]
        found.append(
            {
                "objects": [
                    {
                        "label": classes[labels[q]],
                        "score": float(scores[q]),
                        "box": dict(zip(corners, boxes[q].tolist(), strict=True)),
                    }
                    for q in surest
                ]
            }
        )
    return found


def _segmentation(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    found = []
    for values in outputs["mask"]:
        mask = Image.fromarray(values, "P")
        mask.putpalette([0, 0, 0, *(int(color(k)[i : i + 2], 16) for k in range(255) for i in (1, 3, 5))])
        mask.info["transparency"] = 0  # the ground
        shares = np.bincount(values.ravel(), minlength=256) / values.size
        segments = [
            {"label": label, "share": float(shares[k + 1]), "color": color(k)}
            for k, label in enumerate(description["classes"])
            if shares[k + 1]
        ]
        found.append({"mask": mask, "segments": segments})
    return found


def _transcription(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    return [
        {"text": str(text), "confidence": float(confidence)}
        for text, confidence in zip(outputs["text"], outputs["confidence"], strict=True)
    ]


def color(k: int) -> str:
    """Return the colour that class ``k`` is drawn in, ``#rrggbb``."""
    return _COLORS[k % len(_COLORS)]


_COLORS = (
    "#84c5ec",
    "#ffa294",
    "#86dba9",
    "#e3cf85",
    "#cfa9f0",
    "#7fe0dc",
    "#f2a8cf",
    "#b8d97a",
    "#f0b37a",
    "#a9b8f0",
)

READERS: dict[str, Callable[[Description, Mapping[str, np.ndarray]], list[Answer]]] = {
    "classification": _classification,
    "density": _density,
    "translation": _picture,
    "reenactment": _picture,
    "generation": _generation,
    "detection": _detection,
    "segmentation": _segmentation,
    "transcription": _transcription,
    "text_to_image": _generation,
    "controlled_generation": _picture,
}
"""By task, what reads its outputs."""
