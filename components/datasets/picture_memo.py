"""What the last prepare made of the parts of a folder of images, so that the next one decodes the parts that are new.

A part is known by a key of all that its pictures depend on. DVC removes a stage's outs before it runs the stage, so
this lies beside them, as hard links. No result depends on the memo: what is missing, cut or damaged in it, as hashes
tell, is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from components.datasets.parts import digest, link
from data.prepared import PIXELS

FACTS = "facts"
"""The folder of the files of facts; like those of pixels, each is named by its content."""

_INDEX = "index"


class Made(NamedTuple):
    """What was made of a part: the names of its files.

    Attributes:
        facts: what is known of each of its pictures.
        pixels: its tensors; None where all its pictures stay files.
    """

    facts: str
    pixels: str | None


class PictureMemo:
    """The memo of one data set."""

    def __init__(self, folder: Path) -> None:
        """Open the memo in ``folder``; one that is not there, or is damaged, knows nothing."""
        self._folder = folder
        self._made = _load(folder / _INDEX)

    def take(self, key: str, folder: Path) -> Made | None:
        """Link the files of the part ``key`` into ``folder``; return them, or None: it is not known, or damaged."""
        made = self._made.get(key)
        if made is None or not all(_is_sound(self._folder / name) for name in paths(made)):
            return None
        for name in paths(made):
            link(self._folder / name, folder / name)
        return made


def begin(folder: Path) -> None:
    """Make the folders of a new memo in ``folder``, which is empty."""
    for name in (PIXELS, FACTS):
        (folder / name).mkdir()


def end(folder: Path, made: Mapping[str, Made]) -> None:
    """Write the index of a memo in ``folder``, which holds the files of all that was ``made``, by the keys of parts."""
    content = json.dumps(made).encode()
    (folder / _INDEX).write_bytes(hashlib.sha256(content).digest() + content)


def paths(made: Made) -> list[Path]:
    """Return the files of a part, relative to the memo's folder."""
    return [Path(FACTS, made.facts), *([Path(PIXELS, made.pixels)] if made.pixels else [])]


def _load(path: Path) -> dict[str, Made]:
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return {}
    return {key: Made(*names) for key, names in json.loads(content[32:]).items()}


def _is_sound(path: Path) -> bool:
    return path.is_file() and digest(path) == path.stem
