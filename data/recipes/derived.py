"""Data sets that are made from another one: its splits and classes stay, so that no test image is trained on."""

from __future__ import annotations

import numpy as np

from data import kinds
from data.arrays import whole
from data.errors import UserError, nearest
from data.image_statistics import grey
from data.prepared import SPLITS, PreparedData, Split
from data.recipes import lines, motifs, scenes, tinted
from data.recipes.edges import edges
from data.recipes.settings import TintedSpec
from data.sources import Arrays
from data.spec import DatasetSpec

_CHUNK = 512
"""Images at a time: what is computed on then stays in the processor's cache."""


def load(name: str, spec: DatasetSpec, parent: PreparedData) -> Arrays:
    """Return the data set ``name``, made of the images of ``parent`` as they were prepared.

    Raises:
        UserError: ``parent`` is no data for classification, or what is asked for cannot be made of its images.
    """
    where = f"data/{name}/dataset.yaml"
    if parent.spec.task != kinds.LABELLED:
        raise UserError(
            f"{where}: from: {parent.spec.name!r} is data for {parent.spec.task}; {spec.recipe} are made of images "
            "of one class each."
        )
    recipes = {"captions": _captions, "edges": _edges, "lines": _lines, "scenes": _scenes}
    return recipes[spec.recipe](where, spec, parent)


def _captions(where: str, spec: DatasetSpec, parent: PreparedData) -> Arrays:
    """Return pictures of one item each in an ink on a ground, with captions, of the items' classes.

    Their edge maps, where they are asked for, hardly tell colours: of any two colours the slopes are as steep, but for
    rounding, which moves two edge pixels of a hundred.
    """
    settings, shape = spec.captions.tinted, (spec.image.height, spec.image.width)
    _require_tints(where, spec, parent)
    factor = min(shape[0] // parent.spec.height, shape[1] // parent.spec.width)
    pools = [motifs.pool(parent, split, factor, settings) for split in SPLITS]
    _require_pictures(where, settings, pools)
    images, sources, splits, labels, captions = [], [], [], [], []
    for number, (split, pool) in enumerate(zip(SPLITS, pools, strict=True)):
        looks = tinted.looks(pool.labels, pool.inverted, getattr(settings, split), settings, number)
        for index, look in enumerate(looks):
            motif = pool.motifs[look.item]
            image, caption = tinted.draw(
                look, motif.light, motif.name, shape, settings, (number, index), inverted=motif.inverted
            )
            images.append(image)
            captions.append(caption)
            labels.append(motif.label)
            splits.append(split)
            sources.append(f"{parent.spec.name}: {motif.id}")
    return Arrays(
        ids=[f"{split}-{index:06d}" for split in SPLITS for index in range(getattr(settings, split))],
        sources=sources,
        splits=splits,
        labels=labels,
        images=np.stack(images),
        inputs=None if spec.input_channels is None else edges(grey(np.stack(images)))[..., None],
        captions=captions,
    )


def _edges(where: str, spec: DatasetSpec, parent: PreparedData) -> Arrays:
    """Return pairs of an edge map and its image, with the ids of the images."""
    _require_same(where, spec, parent, ("height", "width", "channels", "levels"))
    parts = [(split, getattr(parent, split)) for split in SPLITS]
    images = np.concatenate([part.images for _, part in parts])
    ids = [id for _, part in parts for id in part.ids]
    return Arrays(
        ids=ids,
        sources=[f"{parent.spec.name}: {id}" for id in ids],
        splits=[split for split, part in parts for _ in part.ids],
        labels=[parent.spec.classes[label] for _, part in parts for label in part.labels],
        images=images,
        inputs=np.concatenate([edges(grey(images[i : i + _CHUNK])) for i in range(0, len(images), _CHUNK)])[
            ..., None
        ],
    )


def _lines(where: str, spec: DatasetSpec, parent: PreparedData) -> Arrays:
    """Return lines of items of one split each; a line's label is how many items it has."""
    _require_line_room(where, spec, parent)
    for symbol in spec.text.symbols:
        if symbol not in parent.spec.classes:
            known = nearest(symbol, parent.spec.classes)
            raise UserError(f"{where}: text.symbols: {parent.spec.name!r} has no class {symbol!r}.{known}")
    images, sources, splits, texts, lengths = [], [], [], [], []
    for number, split in enumerate(SPLITS):
        part = _of_classes(getattr(parent, split), parent.spec.classes, spec.text.symbols)
        items = lines.shrunk(part.images, spec.lines.shrink)
        for index in range(getattr(spec.lines, split)):
            image, chosen = lines.draw(
                items, (spec.image.height, spec.image.width), spec.lines, spec.image.levels, (number, index)
            )
            images.append(image)
            splits.append(split)
            sources.append(f"{parent.spec.name}: {', '.join(part.ids[place] for place in chosen)}")
            names = [parent.spec.classes[label] for label in part.labels[chosen]]
            texts.append(spec.text.separator.join(names))
            lengths.append(str(len(names)))
    return Arrays(
        ids=[f"{split}-{index:06d}" for split in SPLITS for index in range(getattr(spec.lines, split))],
        sources=sources,
        splits=splits,
        labels=lengths,
        images=np.stack(images),
        texts=texts,
    )


def _scenes(where: str, spec: DatasetSpec, parent: PreparedData) -> Arrays:
    """Return scenes of the items of each split; the sources name them."""
    _require_same(where, spec, parent, ("channels",))
    if spec.image.channels != 1:
        raise UserError(f"{where}: image.channels: {spec.image.channels}; scenes are made of grey images.")
    ids, sources, splits, images, objects = [], [], [], [], []
    for place, split in enumerate(SPLITS):
        part = getattr(parent, split)
        items = np.asarray(whole(part.images)[..., 0])
        labels = [parent.spec.classes[label] for label in part.labels]
        for number in range(getattr(spec.scenes, split)):
            random = np.random.default_rng([spec.scenes.seed, place, number])
            scene = scenes.draw(random, items, spec.image)
            ids.append(f"{split}/{number:05d}")
            sources.append(f"{parent.spec.name}: {', '.join(part.ids[item] for item in scene.items)}")
            splits.append(split)
            images.append(scene.image)
            objects.append(scene.objects(labels))
    return Arrays(
        ids=ids,
        sources=sources,
        splits=splits,
        labels=[None] * len(ids),
        images=np.stack(images)[..., None],
        objects=objects,
    )


def _of_classes(split: Split, classes: tuple[str, ...], wanted: tuple[str, ...]) -> Split:
    places = np.flatnonzero(np.isin(split.labels, [classes.index(name) for name in wanted]))
    return Split(split.images[places], split.labels[places], [split.ids[place] for place in places])


def _require_tints(where: str, spec: DatasetSpec, parent: PreparedData) -> None:
    settings, key = spec.captions.tinted, f"{where}: captions.tinted"
    if parent.spec.channels != 1:
        raise UserError(f"{where}: from: {parent.spec.name!r} has colours; grey images are tinted.")
    for side in ("height", "width"):
        if getattr(spec.image, side) < getattr(parent.spec, side):
            theirs = getattr(parent.spec, side)
            raise UserError(
                f"{where}: image.{side}: {getattr(spec.image, side)}; an item needs {theirs} at least."
            )
    for label in settings.names:
        if label not in parent.spec.classes:
            known = nearest(label, parent.spec.classes)
            raise UserError(f"{key}.names: {parent.spec.name!r} has no class {label!r}.{known}")
    seen = tinted.pairs(settings)
    for kind, names, used in (
        ("inks", settings.inks, {ink for ink, _ in seen}),
        ("grounds", settings.grounds, {ground for _, ground in seen}),
    ):
        for name in names:
            if name not in used:
                other = "ground" if kind == "inks" else "ink"
                raise UserError(
                    f"{key}.{kind}.{name}: no {other} differs from it by {tinted.APART} levels of grey, of 255."
                )
    if settings.subject is not None and settings.subject.id not in parent.train.ids:
        known = nearest(settings.subject.id, parent.train.ids)
        raise UserError(
            f"{key}.subject.id: the train split of {parent.spec.name!r} has no {settings.subject.id!r}.{known}"
        )


def _require_pictures(where: str, settings: TintedSpec, pools: list[motifs.Pool]) -> None:
    for split, pool in zip(SPLITS, pools, strict=True):
        count, most = getattr(settings, split), tinted.room(pool.labels, pool.inverted, settings)
        if count > most:
            raise UserError(
                f"{where}: captions.tinted.{split}: {count:,}; there are {most:,} different pictures of its items, "
                "each class as often."
            )


def _require_line_room(where: str, spec: DatasetSpec, parent: PreparedData) -> None:
    shrink = spec.lines.shrink
    if parent.spec.height % shrink or parent.spec.width % shrink:
        sides = f"{parent.spec.height} x {parent.spec.width}"
        raise UserError(f"{where}: lines.shrink: {shrink} does not divide the images' sides, {sides}.")
    # The mean of several pixels can be any of 256 levels.
    _require_same(where, spec, parent, ("channels", "levels") if shrink == 1 else ("channels",))
    for side, least in (
        ("height", parent.spec.height // shrink),
        ("width", lines.room(spec.lines, parent.spec.width // shrink)),
    ):
        if getattr(spec.image, side) < least:
            raise UserError(
                f"{where}: image.{side}: {getattr(spec.image, side)}; a line needs {least} at least."
            )


def _require_same(where: str, spec: DatasetSpec, parent: PreparedData, keys: tuple[str, ...]) -> None:
    for key in keys:
        ours, theirs = getattr(spec.image, key), getattr(parent.spec, key)
        if ours != theirs:
            raise UserError(
                f"{where}: image.{key}: {ours}, but the images of {parent.spec.name!r} have {theirs}."
            )
