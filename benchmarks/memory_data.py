"""Prepared data of any size for each task, drawn from scikit-learn's digits, for ``benchmarks.memory``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.datasets import load_digits

from data import at_once, captions
from data.prepared import SPLITS, DataSpec
from data.recipes.edges import edges

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INKS = {"red": (230, 30, 30), "green": (30, 180, 60), "blue": (20, 60, 230)}
PEOPLE, LANDMARKS, CELLS = 10, 32, 4


def sizes(side: int) -> dict[str, int]:
    """Return examples of each split: more than are computed on together (:mod:`data.at_once`)."""
    together = at_once.pictures((side, side, 3), 128)
    return {"train": max(40, 2 * together), "validation": together + 7, "test": max(40, together + 7)}


def write(folder: Path, name: str, kind: str, side: int) -> None:
    """Write RGB pictures of ``side`` pixels and what data of ``kind``, one of :data:`data.kinds.KINDS`, has beside.

    Each picture holds a digit in an ink on a textured ground; of detection and transcription four, in a square.
    """
    folder.mkdir(parents=True)
    random, digest = np.random.default_rng(0), hashlib.sha256()
    ids, told = {}, {}
    for split in SPLITS:
        count = sizes(side)[split]
        tensors, told = _draw(random, kind, side, count)
        save_file(tensors, folder / f"{split}-00000.safetensors")
        digest.update(tensors["images"].tobytes())
        ids[split] = [f"{split}-{number}" for number in range(count)]
        if split == "train":
            pixels = tensors["images"].reshape(-1, 3) / 255
    spec = DataSpec(
        name=name,
        task=kind,
        classes=told.pop("classes", NAMES),
        height=side,
        width=side,
        channels=3,
        levels=256,
        mean=tuple(pixels.mean(axis=0).tolist()),
        std=tuple(pixels.std(axis=0).tolist()),
        sha256=digest.hexdigest(),
        **told,
    )
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "ids.json").write_text(json.dumps(ids))


def _draw(random: np.random.Generator, kind: str, side: int, count: int) -> tuple[dict, dict]:
    """Return the tensors of a split, and what its spec says of them."""
    digits = load_digits()
    across = 2 if kind in ("detection", "transcription") else 1
    chosen = random.integers(len(digits.images), size=(count, across**2))
    ink = _enlarged(digits.images[chosen] / 16, side // across)  # [N, cells, s, s]
    grey = np.zeros((count, side, side))
    grey[:, : across * (side // across), : across * (side // across)] = np.block(
        [[ink[:, across * row + column] for column in range(across)] for row in range(across)]
    )
    labels = digits.target[chosen].astype(np.int64)
    colour = random.integers(len(INKS), size=count)
    ground = random.integers(20, 60, (count, side, side, 3))
    shade = grey[..., None]
    images = shade * np.array(list(INKS.values()))[colour][:, None, None] + (1 - shade) * ground
    tensors = {"images": np.round(images).astype(np.uint8), "labels": labels[:, 0]}
    more, told = _beside(kind, grey, labels, colour, random)
    return tensors | more, told


def _enlarged(images: np.ndarray, side: int) -> np.ndarray:
    """Return [..., side, side] of [..., 8, 8], each pixel a square."""
    places = np.arange(side) * 8 // side
    return images[..., places, :][..., places]


def _beside(
    kind: str, grey: np.ndarray, labels: np.ndarray, colour: np.ndarray, random: np.random.Generator
) -> tuple[dict, dict]:
    """Return the tensors beside pictures and labels, and what the spec says of them."""
    count, side = grey.shape[:2]
    if kind == "detection":
        corners = np.array([(x, y, x + 0.5, y + 0.5) for y in (0, 0.5) for x in (0, 0.5)], np.float32)
        cell = (2 * np.arange(side) // side)[:, None] * 2 + 2 * np.arange(side) // side
        masks = np.where(grey > 0.3, labels[:, cell] + 1, 0).astype(np.uint8)
        boxes = np.broadcast_to(corners, (count, CELLS, 4)).copy()
        tensors = {"labels": np.full(count, -1), "boxes": boxes, "box_labels": labels, "masks": masks}
        return tensors, {"max_objects": CELLS, "has_masks": True}
    if kind == "transcription":
        told = {"symbols": tuple("0123456789"), "separator": "", "longest_text": CELLS, "classes": ("4",)}
        return {"labels": np.zeros(count, np.int64), "texts": labels}, told
    if kind == "reenactment":
        tensors = {
            "labels": np.arange(count) % 3,
            "identities": np.arange(count) % PEOPLE,
            "landmarks": random.uniform(0.2, 0.8, (count, LANDMARKS, 2)).astype(np.float32),
        }
        return tensors, {"num_landmarks": LANDMARKS, "classes": ("calm", "smile", "surprise")}
    tensors, told = {}, {}
    if kind in ("translation", "controlled_generation"):
        tensors["inputs"] = edges(np.round(255 * grey).astype(np.uint8))[..., None]
        told["input_channels"] = 1
    if kind in ("text_to_image", "controlled_generation"):
        words = tuple(sorted([*NAMES, *INKS]))
        texts = [(list(INKS)[ink], NAMES[label]) for ink, label in zip(colour, labels[:, 0], strict=True)]
        tensors["captions"] = captions.encode(texts, words, 2)
        told |= {"words": words, "longest_caption": 2}
    return tensors, told
