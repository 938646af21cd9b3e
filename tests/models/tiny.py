"""Real digits in small: prepared data and settings with which every family trains in about a second."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

import models
from data import captions, image_shards, text
from data.prepared import NO_OBJECT, SHARDS, SPLITS, DataSpec, PreparedData
from data.recipes import lines, scenes
from data.recipes.edges import edges
from data.sources import faces
from data.spec import DatasetSpec, ImageSpec, LinesSpec
from models import checkpoint
from models.run import Run
from models.settings import Settings, configure
from tests import prepared_split

SHRINK = {"epochs": 2, "batch_size": 32, "iterations": 60, "source_epochs": 4, "steps": 3, "prior_images": 40}
"""Put in place of a preset's values where a family has the setting; so a new family needs no line here."""
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INKS = {"red": (230, 30, 30), "blue": (20, 60, 230)}
GROUNDS = {"white": (250, 250, 250), "black": (10, 10, 10)}
"""What captions are made of."""


def settings(family: str, **overrides: object) -> Settings:
    """Return the quick preset, shrunk, with ``overrides``, and with the settings of the model that it starts from."""
    module = models.family(family)
    shrunk = {key: value for key, value in SHRINK.items() if key in module.Config.model_fields}
    config = configure(module.Config, "quick", shrunk | overrides, "tests")
    return config.model_copy(update={"base": settings(module.BASE)}) if hasattr(module, "BASE") else config


def begin(family: str, config: Settings, data: PreparedData) -> nn.Module:
    """Return an untrained model; one that starts from another model has the weights of that in ``data``'s folder."""
    module = models.family(family)
    model = module.build(config, data.spec)
    if hasattr(module, "BASE"):
        module.start(model, checkpoint.load(data.folder / "base"))
    return model


def fitted(
    family: str, data: PreparedData, *, overrides: Mapping[str, object] = MappingProxyType({}), **run: object
):
    """Train a shrunk model of ``family``, with ``overrides`` in its settings; return it and its run."""
    with Run(f"tiny-{family}", **run) as training:
        model = begin(family, settings(family, **overrides), data)
        models.family(family).fit(model, data, training)
    return model, training


def save(folder: Path, family: str, config: Settings, data: PreparedData, model: nn.Module, run: Run) -> None:
    """Write the checkpoint of a finished run into ``folder``."""
    recipe = {"family": family, "config": config, "spec": data.spec, "seed": run.seed}
    checkpoint.save(folder, **recipe, model=model, outcome=run.outcome)


def prepare(
    folder: Path, sizes: tuple[int, int, int] = (240, 80, 80), task: str = "classification"
) -> PreparedData:
    """Write the first digits of each split, real pixels and labels, as the ``prepare`` stage would.

    Of data for translation, their edge maps are the inputs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = digits()
    ids, digest = {}, hashlib.sha256()
    bounds = np.cumsum([0, *sizes])
    for split, start, stop in zip(("train", "validation", "test"), bounds[:-1], bounds[1:], strict=True):
        tensors = {"images": images[start:stop], "labels": labels[start:stop]}
        if task == "translation":
            tensors["inputs"] = edges(tensors["images"][..., 0])[..., None]
        prepared_split.write(folder, split, tensors)
        ids[split] = [f"digits-{number:04d}" for number in range(start, stop)]
        digest.update(tensors["images"].tobytes())
    spec = DataSpec(
        name="digits",
        task=task,
        classes=tuple("0123456789"),
        height=8,
        width=8,
        channels=1,
        levels=17,
        mean=(0.306,),
        std=(0.376,),
        sha256=digest.hexdigest(),
        input_channels=1 if task == "translation" else None,
    )
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "ids.json").write_text(json.dumps(ids))
    return PreparedData(folder)


def encode(folder: Path, data: PreparedData) -> PreparedData:
    """Write ``data``, of classification, as ``storage: encoded``: its pixels are PNG files in three shards."""
    (folder / SHARDS).mkdir(parents=True)
    files: list[bytes] = []
    for split in SPLITS:
        part = getattr(data, split)
        # Backwards, so that the order in the shards is not that of the split.
        places = len(files) + np.arange(len(part))[::-1].copy()
        files += [_png(image) for image in part.images[::-1]]
        prepared_split.write(folder, split, {"images_at": places, "labels": part.labels}, of=part.images)
    for number, start in enumerate(range(0, len(files), 150)):
        image_shards.write(folder / SHARDS / f"{number:05d}.safetensors", files[start : start + 150])
    spec = replace(data.spec, encoded=True)
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "ids.json").write_text((data.folder / "ids.json").read_text())
    return PreparedData(folder)


def _png(image_hwc: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image_hwc.squeeze()).save(content, "PNG")
    return content.getvalue()


def prepare_faces(folder: Path, sizes: tuple[int, int, int] = (96, 32, 32)) -> PreparedData:
    """Write drawn faces of 16 x 16 pixels, eight of each person, as the ``prepare`` stage would."""
    folder.mkdir(parents=True, exist_ok=True)
    image = {"height": 16, "width": 16, "channels": 3}
    drawn = faces.load(
        DatasetSpec.model_validate({"source": "heads", "image": image, "heads": {"people": 20, "frames": 8}})
    )
    labels = np.unique(drawn.labels, return_inverse=True)[1]
    identities = np.unique(drawn.identities, return_inverse=True)[1]
    bounds = np.cumsum([0, *sizes])
    ids = {}
    for split, start, stop in zip(("train", "validation", "test"), bounds[:-1], bounds[1:], strict=True):
        part = slice(start, stop)
        tensors = {"images": drawn.images[part], "labels": labels[part], "identities": identities[part]}
        prepared_split.write(folder, split, tensors | {"landmarks": drawn.landmarks[part]})
        ids[split] = drawn.ids[part]
    spec = DataSpec(
        name="faces",
        task="reenactment",
        classes=("calm", "smile", "surprise"),
        **image,
        levels=256,
        mean=(0.7, 0.67, 0.65),
        std=(0.21, 0.26, 0.3),
        sha256=hashlib.sha256(drawn.images.tobytes()).hexdigest(),
        num_landmarks=drawn.landmarks.shape[1],
    )
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "ids.json").write_text(json.dumps(ids))
    return PreparedData(folder)


def prepare_lines(folder: Path, sizes: tuple[int, int, int] = (240, 80, 80)) -> PreparedData:
    """Write lines of two to four digits, those of each split made of other digits, as the ``prepare`` stage would."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = digits()
    settings = LinesSpec(train=1, validation=1, test=1, shortest=2, longest=4)
    ids, drawn = {}, []
    for number, (split, size) in enumerate(zip(SPLITS, sizes, strict=True)):
        part = slice(500 * number, 500 * (number + 1))
        found = [lines.draw(images[part], (10, 44), settings, 17, (number, index)) for index in range(size)]
        transcripts = [labels[part][chosen].astype(str) for _, chosen in found]
        pictures = np.stack([image for image, _ in found])
        tensors = {
            "images": pictures,
            "labels": np.array([len(transcript) - 2 for transcript in transcripts]),
            "texts": text.encode(transcripts, tuple("0123456789"), 4),
        }
        prepared_split.write(folder, split, tensors)
        ids[split] = [f"{split}-{index:06d}" for index in range(size)]
        drawn.append(pictures)
    spec = DataSpec(
        name="digit_lines",
        task="transcription",
        classes=("2", "3", "4"),
        height=10,
        width=44,
        channels=1,
        levels=17,
        mean=(0.15,),
        std=(0.3,),
        sha256=hashlib.sha256(np.concatenate(drawn).tobytes()).hexdigest(),
        symbols=tuple("0123456789"),
        separator="",
        longest_text=4,
    )
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "ids.json").write_text(json.dumps(ids))
    return PreparedData(folder)


def prepare_scenes(folder: Path, sizes: tuple[int, int, int] = (96, 24, 24)) -> PreparedData:
    """Write scenes of 32 x 32 pixels of real digits, as ``prepare`` would; the first of each split is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    image = ImageSpec(height=32, width=32, channels=1, levels=256)
    items, classes = digits()
    ids, digest = {}, hashlib.sha256()
    for place, (split, size) in enumerate(zip(("train", "validation", "test"), sizes, strict=True)):
        drawn = [
            scenes.draw(np.random.default_rng([place, k]), items[place::3, :, :, 0], image)
            for k in range(size)
        ]
        tensors = {
            "images": np.stack([scene.image for scene in drawn])[..., None],
            "labels": np.full(size, NO_OBJECT),
            "boxes": np.zeros((size, 6, 4), np.float32),
            "box_labels": np.full((size, 6), NO_OBJECT),
            "masks": np.zeros((size, 32, 32), np.uint8),
        }
        tensors["images"][0] = 30
        for k, scene in enumerate(drawn[1:], start=1):
            labels = classes[place::3][list(scene.items)]
            tensors["boxes"][k, : len(labels)] = scene.boxes / 32
            tensors["box_labels"][k, : len(labels)] = labels
            tensors["masks"][k] = np.append(0, labels + 1)[scene.instances]
        prepared_split.write(folder, split, tensors)
        ids[split] = [f"{split}/{k}" for k in range(size)]
        digest.update(tensors["images"].tobytes())
    spec = DataSpec(
        name="digit_scenes",
        task="detection",
        classes=tuple("0123456789"),
        **image.to_json(),
        mean=(0.3,),
        std=(0.25,),
        sha256=digest.hexdigest(),
        max_objects=6,
        has_masks=True,
    )
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "ids.json").write_text(json.dumps(ids))
    return PreparedData(folder)


def prepare_captions(
    folder: Path,
    sizes: tuple[int, int, int] = (240, 80, 80),
    *,
    inverted: bool = False,
    sketched: bool = False,
) -> PreparedData:
    """Write real digits in one of two inks on one of two grounds, as ``prepare`` would, and captions that say so.

    With ``inverted``, every other one has ink and ground in each other's place, and is of a class of its own. With
    ``sketched``, each one's edge map is its input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    grey, labels = digits()
    if inverted:
        grey, labels = grey.copy(), labels.copy()
        grey[::2] = 255 - grey[::2]
        labels[::2] += 10
    names = [*NUMBERS, *(f"inverted {name}" for name in NUMBERS)]
    known = tuple(sorted([*NUMBERS, *INKS, *GROUNDS, "on", *(["inverted"] if inverted else [])]))
    longest = 4 + inverted
    ids, drawn = {}, []
    bounds = np.cumsum([0, *sizes])
    for split, start, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True):
        random = np.random.default_rng(start)
        chosen = random.integers(0, 2, (2, stop - start))
        inks, grounds = (
            np.array(list(colours.values()))[of] for colours, of in zip((INKS, GROUNDS), chosen, strict=True)
        )
        shade = grey[start:stop] / 255
        pictures = shade * inks[:, None, None] + (1 - shade) * grounds[:, None, None]
        told = [
            (list(INKS)[ink], *names[label].split(), "on", list(GROUNDS)[ground])
            for ink, ground, label in zip(*chosen, labels[start:stop], strict=True)
        ]
        # Every fourth caption leaves the ground out: not all are of one length.
        told = [words[:-2] if place % 4 == 0 else words for place, words in enumerate(told)]
        tensors = {"images": np.round(pictures).astype(np.uint8), "labels": labels[start:stop]}
        tensors["captions"] = captions.encode(told, known, longest)
        if sketched:
            tensors["inputs"] = edges(grey[start:stop, ..., 0])[..., None]
        prepared_split.write(folder, split, tensors)
        ids[split] = [f"digits-{number:04d}" for number in range(start, stop)]
        drawn.append(tensors["images"])
    spec = DataSpec(
        name="digit_sketches" if sketched else "digit_negatives" if inverted else "digit_captions",
        task="controlled_generation" if sketched else "text_to_image",
        classes=tuple("0123456789") + tuple(f"inverted {k}" for k in range(10) if inverted),
        height=8,
        width=8,
        channels=3,
        levels=256,
        mean=(0.45, 0.42, 0.4),
        std=(0.38, 0.4, 0.37),
        sha256=hashlib.sha256(np.concatenate(drawn).tobytes()).hexdigest(),
        input_channels=1 if sketched else None,
        words=known,
        longest_caption=longest,
    )
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    (folder / "ids.json").write_text(json.dumps(ids))
    return PreparedData(folder)


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return all digits there are, uint8 [1797, 8, 8, 1], and their labels."""
    loaded = load_digits()
    images = np.round(loaded.images * 255 / 16).astype(np.uint8)[..., None]
    return images, loaded.target.astype(np.int64)
