"""A user's own folder of images, in the convention of Hugging Face's ``imagefolder``.

A file's class is the name of the folder that it lies in, or, where there is a ``metadata.jsonl`` with a line
``{"file_name": ..., "label": ...}`` per image, or a ``metadata.csv`` with such columns, what that says
(``data/sources/metadata.py``). Folders at the top that are named as splits give the splits: ``train``, ``validation``
(or ``valid``, ``val``, ``dev``), ``test`` (or ``eval``).

Pairs for translation: each line also has ``"input_file_name"``, the image that ``file_name`` is the translation of.
Transcripts: each line also has ``"text"``, what is written in the image.
Captions: each line also has ``"text"``, what the image shows; the folders are the classes where no line has a label.
Pairs, or images with transcripts, of which none has a label are of one class, ``all``.

What belongs together, and when it was made: a line may have ``"group"`` and ``"time"`` (``splits`` of dataset.yaml).

Objects for detection: each line has ``"objects": {"bbox": [[x, y, width, height], ...], "categories": [...]}``, in
pixels, categories by name or number; or COCO's JSON (``data/sources/coco.py``) says it, and which images are examples.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from data.errors import UserError, nearest
from data.sources import ImageFile, InputFile, coco, metadata
from data.sources.description import Description
from data.sources.file_names import FileNames
from data.sources.listing import SUFFIXES, Entry, Listing, is_metadata, listed, printable, suffix, unused
from data.sources.names import Names
from data.sources.split_names import SPLIT_NAMES

UNLABELLED = "all"
"""The class of pairs and of transcribed images of which none has a label: their tasks need none."""


def load(
    folder: Path,
    entries: Sequence[Entry],
    files: tuple[Path, ...] = (),
    *,
    captions: bool = False,
    columns: Sequence[str] = (),
) -> Sequence[ImageFile]:
    """Return the image files of ``folder``, sorted by id; images are not opened.

    Args:
        folder: the user's folder.
        entries: what :func:`data.sources.listing.scan` said is in it.
        files: COCO's JSON of its images.
        captions: the texts of ``metadata.jsonl`` are captions, else transcripts.
        columns: other keys of the metadata, or of COCO's images, that are wanted.

    Raises:
        UserError: there is no image, images with captions have no class, folders that are splits and folders that are
            none lie side by side, or metadata or a COCO file are not as they must be.
    """
    told = [entry.path for entry in entries if is_metadata(entry.path)]
    if not files and not told:
        return _by_folder(folder, entries, captions)
    images = [entry.path for entry in entries if suffix(entry.path) in SUFFIXES]
    modified = {entry.path: entry.modified for entry in entries}
    there = file_names(folder, entries)
    if files:
        descriptions = coco.load(folder, files, there, columns)
        images = list(descriptions)
        splits = _split_folders(folder, images)
    else:
        splits = _split_folders(folder, [*images, *told])
        descriptions = metadata.read(folder, told, there, columns)
    if not images and not descriptions:
        raise _without_image(folder)
    inputs = {description.input for description in descriptions.values() if description.input is not None}
    has_texts = any(description.text is not None for description in descriptions.values())
    unlabelled = all(description.label is None for description in descriptions.values())
    if captions and unlabelled:
        descriptions = _labelled_by_folder(folder, descriptions, splits)
    elif (inputs or has_texts) and unlabelled:
        descriptions = {
            path: replace(description, label=UNLABELLED) for path, description in descriptions.items()
        }
    # A file that metadata name and that is not there becomes a row too: ingest says that it cannot be
    # read. An input is no example of its own, unless a line says so.
    return [
        ImageFile(
            id=printable(path),
            folder=folder,
            name=path,
            split=_split(folder, path, splits.get(_top(path), ""), description.split),
            input=_input(folder, description),
            modified=modified.get(path, 0),
            **description.annotations(),
        )
        for path in sorted({*images, *descriptions} - (inputs - descriptions.keys()), key=printable)
        for description in [descriptions.get(path, Description())]
    ]


class ByFolder(Sequence[ImageFile]):
    """The image files of a folder of which nothing but their folders tells: each is made when it is asked for.

    Attributes:
        modified: when each was changed, in ns.
    """

    def __init__(self, folder: Path, entries: Iterable[Entry]) -> None:
        """Take ``entries``, images in the order of their printable paths."""
        self._folder, self._names, self.modified = folder, Names(), array("q")
        for entry in entries:
            self._names.append(entry.path)
            self.modified.append(entry.modified)
        self.splits = _split_folders(folder, self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> ImageFile:
        """Return file ``index``, in [0, N)."""
        name = self._names[index]
        return ImageFile(
            id=printable(name),
            folder=self._folder,
            name=name,
            split=self.splits.get(_top(name), ""),
            label=_label_by_folder(name, self.splits),
            modified=self.modified[index],
        )

    def place(self, index: int) -> str:
        """Return the path of file ``index`` as text."""
        return f"{self._folder}/{self._names[index]}"


def _by_folder(folder: Path, entries: Sequence[Entry], captions: bool) -> ByFolder:
    images = (entry for entry in entries if suffix(entry.path) in SUFFIXES)
    if not (isinstance(entries, Listing) and entries.paths.are_ascii):
        images = iter(sorted(images, key=lambda entry: printable(entry.path)))
    files = ByFolder(folder, images)
    if not files:
        raise _without_image(folder)
    if captions and all(file.label is None for file in files):
        raise _without_class(folder)
    return files


def _without_image(folder: Path) -> UserError:
    left = unused(folder, ())
    return UserError(
        f"{folder}: no image in it. Images are told by their ending, for example .jpg, .png, .webp."
        f"{f' {listed(left)}.' if left else ''}"
    )


def _without_class(folder: Path) -> UserError:
    return UserError(
        f"{folder}: no image has a class, by which images that are made from captions are judged. Put them into "
        f"class folders, or give each line of the metadata a 'label'."
    )


def file_names(folder: Path, entries: Sequence[Entry]) -> FileNames:
    """Return the images of ``folder``, to be found by names; ``entries``: what is in it."""
    return FileNames(folder, [entry.path for entry in entries if suffix(entry.path) in SUFFIXES])


def _split_folders(folder: Path, paths: Sequence[str]) -> dict[str, str]:
    """Return which top folders are splits, and of what; none are unless all are."""
    tops = {_top(path) for path in paths}
    named = {top: SPLIT_NAMES[top.lower()] for top in tops if top.lower() in SPLIT_NAMES}
    others = sorted(top for top in tops - named.keys() if top)
    if not named:
        return {}
    # A split holds class folders or metadata.jsonl; a class that happens to be called "train" holds images
    # alone.
    is_split = {
        _top(path) for path in paths if _top(path) in named and (path.count("/") > 1 or is_metadata(path))
    }
    if others and is_split:
        raise UserError(
            f"{folder}: {others[0]!r} lies beside the split {min(is_split)!r} and is no split itself."
            f"{nearest(others[0], SPLIT_NAMES)}"
        )
    return {} if others else named


def _input(folder: Path, description: Description) -> InputFile | None:
    if description.input is None:
        return None
    return InputFile(
        id=printable(description.input), path=folder / description.input, nearest=description.nearest_input
    )


def _split(folder: Path, path: str, by_folder: str, by_file: str) -> str:
    if by_folder and by_file and by_folder != by_file:
        raise UserError(
            f"{folder / path}: is in {by_folder} by its folder, and in {by_file} by the JSON that lists it."
        )
    return by_folder or by_file


def _top(path: str) -> str:
    return path.split("/", 1)[0] if "/" in path else ""


def _label_by_folder(path: str, splits: dict[str, str]) -> str | None:
    parent, _, _ = path.rpartition("/")
    if not parent or parent in splits:
        return None
    return unicodedata.normalize("NFC", parent[parent.rfind("/") + 1 :])


def _labelled_by_folder(
    folder: Path, descriptions: dict[str, Description], splits: dict[str, str]
) -> dict[str, Description]:
    labels = {path: _label_by_folder(path, splits) for path in descriptions}
    if all(label is None for label in labels.values()):
        raise _without_class(folder)
    return {path: replace(description, label=labels[path]) for path, description in descriptions.items()}
