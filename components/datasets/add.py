"""Takes a user's folder of images into the project: its ``dataset.yaml``, its name in ``params.yaml``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from components.datasets import annotations as annotated
from components.datasets import listing
from components.project import params
from components.project.layout import dataset_file, suite_file
from data import atomic, spec
from data.errors import UserError, nearest
from data.images import FORMATS
from data.sources import ImageFile, imagefolder
from data.sources.listing import scan

IMAGE_SIZE = 64
"""Sides that images are brought to unless the user says otherwise, in pixels."""

TEXTS = {
    "transcripts": "what is written in each image, which transcription learns to read",
    "captions": "what each image shows, from which text to image learns to make one",
}
"""What ``text`` of metadata can be: nothing in a folder tells."""

LINE_HEIGHT = 32
"""Height that images with a transcript are brought to; their width follows from how long they are."""

SMALL_CLASS = 50
"""Examples below which a class would often have none in a split that each example's content decides."""

_SAMPLE = 200


@dataclass(frozen=True)
class Added:
    """What was found in a folder.

    Attributes:
        name: the data set.
        examples: how many images.
        classes: how many of each class, of objects where there are such; the empty name counts images without a label
            or without an object.
        splits: how many of each split; the empty name counts those that the folder gives none.
        notes: what was taken without having been named, and what of it is not kept.
        left_out: how many files of the folder are not read, by their ending.
    """

    name: str
    examples: int
    classes: dict[str, int]
    splits: dict[str, int]
    notes: list[str]
    left_out: dict[str, int]


def add(
    folder: Path,
    name: str,
    image_size: int | None,
    shares: dict[str, float],
    coco_files: tuple[Path, ...] = (),
    texts: str | None = None,
    *,
    find_coco: bool = True,
) -> Added:
    """Make ``folder`` the data set ``name``, or bring its listing up to date when it is one already.

    Nothing in ``folder`` is changed. Settings that are not given stay as they are.

    Args:
        folder: the user's images, in the imagefolder convention.
        name: lower-case letters, digits, ``-`` and ``_``.
        image_size: sides of the images that models see, in pixels.
        shares: of ``validation`` and ``test``, in [0, 1).
        coco_files: COCO's JSON of the images; without it one that lies in or beside the folder is found.
        find_coco: whether a COCO file that nobody named is taken.
        texts: what the texts of ``metadata.jsonl`` are, one of :data:`TEXTS`; a data set keeps what it was added with.

    Raises:
        UserError: the folder is not as it must be, or the name cannot be taken.
    """
    _check_name(name)
    folder = folder.expanduser().resolve()
    path = dataset_file(name)
    named = tuple(file.expanduser().resolve() for file in coco_files)
    coco_files = _annotations(path, folder, named, find_coco)
    is_new = not path.exists()
    texts = _texts(path, texts)
    entries = scan(folder, coco_files)
    files = imagefolder.load(folder, entries, coco_files, captions=texts == "captions")
    if is_new:
        _require_texts_as_told(folder, files, texts)
    yaml = YAML()
    yaml.width = 4096
    values = _new(files, name, coco_files, texts) if is_new else yaml.load(path.read_text())
    values["folder"] = str(folder)
    if coco_files:
        values["objects"]["coco"] = [str(file) for file in coco_files]
    if image_size is not None:
        values["image"]["height"] = values["image"]["width"] = image_size
    values["splits"].update(shares)
    spec.parse(path, spec.DatasetSpec, dict(values))
    with atomic.file(path) as temporary, temporary.open("w") as file:
        yaml.dump(values, file)
    listing.record(name, entries)
    _name_in_params(name, path)
    notes = []
    if is_new and coco_files:
        notes = [
            "" if named else annotated.told(folder, coco_files),
            annotated.without_outline(files),
        ]
    return Added(
        name,
        len(files),
        dict(sorted(Counter(name for file in files for name in _classes(file)).items())),
        dict(sorted(Counter(file.split for file in files).items())),
        [note for note in notes if note],
        listing.left_out(folder, (name for file in files for name in _ids(file)), coco_files),
    )


def _annotations(path: Path, folder: Path, named: tuple[Path, ...], find_coco: bool) -> tuple[Path, ...]:
    """Return COCO's files: those that were named, else those that the data set has, else what a new one finds."""
    if named and not find_coco:
        raise UserError("--coco names what --no-coco leaves out: give one of them.")
    if not path.exists():
        return named or (annotated.find(folder) if find_coco else ())
    objects = spec.load(path).objects
    if objects and objects.coco and not find_coco:
        raise UserError(f"{path}: objects.coco: it was added with COCO's JSON. Choose another --name.")
    if objects is None and named:
        raise UserError(
            f"{path}: objects: is missing: it was added as data without objects. Choose another --name."
        )
    return named or (objects.coco if objects else ())


def _texts(path: Path, told: str | None) -> str | None:
    """Return what texts are: what was told, else what those of the data set are; None for one without texts."""
    if told not in (None, *TEXTS):
        raise UserError(f"--text {told!r}: texts are {' or '.join(TEXTS)}.{nearest(told, TEXTS)}")
    if not path.exists():
        return told
    settings = spec.load(path)
    added = "captions" if settings.captions else "transcripts" if settings.text else None
    if told not in (None, added):
        raise UserError(f"{path}: it was added as data with {added or 'no texts'}. Choose another --name.")
    return added


def _require_texts_as_told(folder: Path, files: Sequence[ImageFile], texts: str | None) -> None:
    has_texts = any(file.text is not None for file in files)
    if texts and not has_texts:
        raise UserError(f"{folder}: --text {texts}: no line of metadata in it has a 'text'.")
    if has_texts and not texts:
        choices = "".join(f"\n  --text {name}: {meaning}" for name, meaning in TEXTS.items())
        raise UserError(f"{folder}: its metadata have 'text'. Say what it is:{choices}")


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UserError(
            f"--name {name!r}: it takes a-z, 0-9, '-' and '_', and begins with a letter or digit."
        )
    path = dataset_file(name)
    if path.exists():
        if spec.load(path).source != "imagefolder":
            raise UserError(f"{path}: is there already, and is no folder of images. Choose another --name.")
    elif path.parent.exists() and not suite_file(name).exists():  # left where only dataset.yaml was lost
        raise UserError(f"{path.parent}: is there already, and is no data set. Choose another --name.")


def _ids(file: ImageFile) -> list[str]:
    return [file.id, file.input.id] if file.input else [file.id]


def _classes(file: ImageFile) -> list[str]:
    """Return the classes of a file's objects, or its own; an empty name where there is none."""
    if file.objects is not None:
        return [one.category for one in file.objects] or [""]
    return [file.label or ""]


def _new(
    files: Sequence[ImageFile], name: str, coco_files: tuple[Path, ...], texts: str | None
) -> CommentedMap:
    paths = [file.path for file in files]
    height, width = _line_size(paths) if texts == "transcripts" else (IMAGE_SIZE, IMAGE_SIZE)
    image = CommentedMap(height=height, width=width, channels=_channels(paths), levels=256)
    splits = CommentedMap(by=rule(files), validation=0.15, test=0.15)
    for part in (image, splits):
        part.fa.set_flow_style()
    values = CommentedMap(source="imagefolder", folder="", listing="", image=image)
    if inputs := [file.input.path for file in files if file.input]:
        values["input_channels"] = _channels(inputs)
        values.yaml_add_eol_comment("pairs: of the image that is translated", "input_channels")
    if texts == "captions":
        values["captions"] = CommentedMap()
        values.yaml_add_eol_comment("for text to image: the texts of metadata.jsonl", "captions")
    if texts == "transcripts":
        values["text"] = CommentedMap(separator="")
        values["text"].fa.set_flow_style()
        values.yaml_add_eol_comment("between two symbols; without one, each character is a symbol", "text")
    if objects := annotated.spec_of(files, coco_files):
        values["objects"] = CommentedMap({"masks": objects.masks})
        values["objects"].fa.set_flow_style()
        values.yaml_add_eol_comment("for detection; masks: every object has one", "objects")
        values["classes"] = annotated.classes(files, coco_files)
    values["splits"] = splits
    values.yaml_set_start_comment(
        f"A folder of images. After a change in it: darkroom data add FOLDER --name {name}"
    )
    values.yaml_add_eol_comment("what is made of each image; channels: 1 (grey) or 3 (RGB)", "image")
    values.yaml_add_eol_comment(_RULES[splits["by"]], "splits")
    return values


_RULES = {
    "content": "shares; an image keeps its split when others come",
    "group": "shares; a group of the metadata is in one split, and keeps it when others come",
    "class": f"shares of each class, since one has fewer than {SMALL_CLASS} images; by: content once all have more",
}
"""By ``splits.by``, what the file says of it. Splits that the folder gives are kept by all."""


def rule(files: Sequence[ImageFile]) -> str:
    """Return ``splits.by`` of a new data set: ``group`` where each file has one, ``class`` where classes are small."""
    if all(file.group is not None for file in files):
        return "group"
    counts = Counter(name for file in files if not file.split for name in set(_classes(file)) - {""})
    return "class" if counts and min(counts.values()) < SMALL_CLASS else "content"


def _channels(files: list[Path]) -> int:
    """Return 1 if all of a sample of the images are grey, else 3."""
    return 1 if all(mode in ("1", "L", "LA") for mode, _ in _headers(files)) else 3


def _line_size(files: list[Path]) -> tuple[int, int]:
    """Return height and width that lines are brought to; of a sample, one in twenty is longer for its height."""
    ratios = sorted(width / height for _, (width, height) in _headers(files)) or [1.0]
    wide = ratios[int(0.95 * (len(ratios) - 1))]
    return LINE_HEIGHT, min(4096, max(LINE_HEIGHT, round(LINE_HEIGHT * wide)))


def _headers(files: list[Path]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield mode and size of a sample of the images; headers alone are read."""
    step = max(1, len(files) // _SAMPLE)
    for file in files[::step]:
        try:
            with Image.open(file, formats=FORMATS) as image:
                yield image.mode, image.size
        except (
            OSError,
            UnidentifiedImageError,
            Image.DecompressionBombError,
            Image.DecompressionBombWarning,
        ):
            continue  # ingest says what is wrong with it.


def _name_in_params(name: str, path: Path) -> None:
    settings = params.load()
    if name in settings.datasets:
        return
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    values = yaml.load(params.FILE.read_text())
    values["datasets"][name] = path.as_posix()
    with atomic.file(params.FILE) as temporary, temporary.open("w") as file:
        yaml.dump(values, file)
