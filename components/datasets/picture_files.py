"""The files of a part's pictures: a file of pixels, and one of facts, each named by its content.

To each part of ingest (``components/datasets/parts.py``) belongs one of each, of its examples in their order and of
whatever split. Of pictures that stay files there are no pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from components.datasets import parts
from components.datasets.picture_memo import FACTS, Made
from components.datasets.pictures import moments
from components.datasets.shards import Shard
from data import cores, tensor_files
from data.prepared import PIXELS
from data.spec import DatasetSpec
from data.tensor_files import Layout

Tensors = dict[str, np.ndarray]


class Facts(NamedTuple):
    """What is known of the pictures of some examples, each an array [n, ...].

    Attributes:
        sha256: of the pixels of an example, uint8 [n, 32]: of its image, its input and its mask, one after the other;
            of nothing where they stay files.
        total: the sum of its image's values in each channel, int64 [n, C].
        squares: the sum of their squares, int64 [n, C].
    """

    sha256: np.ndarray
    total: np.ndarray
    squares: np.ndarray


def describe(images: np.ndarray, kept: Tensors) -> Facts:
    """Return the facts of examples with ``images`` uint8 [n, H, W, C], of which the tensors ``kept`` become pixels."""
    hashes = [hashlib.sha256(b"".join(row)) for row in zip(*kept.values(), strict=True)]
    hashes = hashes or [hashlib.sha256()] * len(images)
    sha256 = np.frombuffer(b"".join(one.digest() for one in hashes), np.uint8).reshape(-1, 32)
    return Facts(sha256, *moments(images))


def write(folder: Path, layout: Layout, count: int, examples: Iterable[tuple[Tensors, Facts]]) -> Made:
    """Write the files of a part into ``folder``, that of a memo.

    Args:
        folder: ``components/datasets/picture_memo.py`` says what is in it.
        layout: of the tensors that become pixels.
        count: how many examples the part has.
        examples: theirs, some at a time.
    """
    unnamed, found = folder / PIXELS / ".part", []
    shard = Shard(unnamed, count, layout) if layout else None
    for tensors, facts in examples:
        found.append(facts)
        if shard is not None:
            shard.write(tensors)
    if shard is not None:
        shard.close()
    of_all = Facts(*map(np.concatenate, zip(*found, strict=True)))
    (folder / FACTS / ".part").write_bytes(tensor_files.encode(of_all._asdict()))
    return Made(
        parts.name_by_content(folder / FACTS / ".part", ".safetensors"),
        None if shard is None else parts.name_by_content(unnamed, ".safetensors"),
    )


def basis(settings: DatasetSpec, classes: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 of what pictures depend on beside a part: this code, its libraries, and settings.

    Args:
        settings: of the data set.
        classes: the names that masks are made by, where there are masks.
    """
    found = hashlib.sha256(f"Pillow {PIL.__version__}, NumPy {np.__version__}".encode())
    told = (settings.image, settings.is_encoded, settings.input_channels, classes)
    found.update(repr(told).encode())
    for module in (parts, cores):  # the packages components.datasets, data
        for path in sorted(Path(module.__file__).parent.glob("*.py")):
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def key(basis: str, rows: str) -> str:
    """Return what the pictures of a part are known by: their :func:`basis`, and the name of the part's file of rows."""
    return hashlib.sha256(f"{basis} {rows}".encode()).hexdigest()
