"""What the last ingest of a folder of images found, so that the next one reads the files that are new.

DVC removes a stage's outs before it runs the stage, so this lies beside them: hard links to the parts, and an index of
the files that they were made of. A file is known by its path, size, times and inode. No result depends on the memo:
what is missing, cut or damaged in it, as hashes tell, is read from the files again.
"""

from __future__ import annotations

import hashlib
import json
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from components.datasets.described import Described
from components.datasets.manifest import DESCRIPTION, INPUT, MANIFEST, SHARDS
from components.datasets.parts import Part, digest, link
from data import atomic
from data.image_shards import EncodedImages
from data.sources import reading

KEY = 16
"""Bytes of a key."""

UNKNOWN = bytes(KEY)
"""The key of what nothing can be known by."""

_SETTLED = 2_000_000_000
"""Nanoseconds after a change within which another change may leave the same times."""

_PIECE = 4096 * KEY
_OPEN_PARTS = 4
_INDEX = "index"

_PREFIXES = ("", INPUT)
"""Of the columns that describe the first and the second file of an example."""


class Found(NamedTuple):
    """What an ingest found.

    Attributes:
        parts: the parts, in the order of the examples.
        examples: the keys of all examples, ``UNKNOWN`` of those that are to be read again.
        files: likewise the keys of their images and, of pairs, of their inputs.
    """

    parts: list[Part]
    examples: bytearray
    files: list[bytearray]


def key(path: Path | str) -> bytes:
    """Return the key of a file; ``UNKNOWN`` of one that is not there or was changed a moment ago."""
    try:
        found = reading.status(path)
    except OSError:
        return UNKNOWN
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < _SETTLED:
        return UNKNOWN
    state = (str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    return hashlib.sha256(repr(state).encode()).digest()[:KEY]


class Memo:
    """The memo of one data set.

    Args:
        folder: where it lies.
        basis: what descriptions depend on beside the files: code and settings. A memo of another basis is not used.
    """

    def __init__(self, folder: Path, basis: str) -> None:
        self.folder, self._basis = folder, basis
        self._parts, self._examples, files = _load(folder / _INDEX, basis)
        ends = accumulate((part.count * KEY for part in self._parts), initial=0)
        self._begins = list(ends)[:-1]
        self._at = {self._examples[begin : begin + KEY]: place for place, begin in enumerate(self._begins)}
        self._files, self._count = b"".join(files), len(self._examples) // KEY
        firsts = np.frombuffer(self._files, ">u8")[::2].astype(np.uint64)
        self._order = np.argsort(firsts, kind="stable")
        self._firsts = firsts[self._order]
        self._open: OrderedDict[int, tuple[list[dict], EncodedImages | None] | None] = OrderedDict()

    def part_at(self, examples: bytes | bytearray, position: int) -> Part | None:
        """Return the part that the examples from ``position`` on are the whole of, if it is known and sound.

        Args:
            examples: keys of all examples, in their order.
            position: an example that begins a part.
        """
        start = position * KEY
        place = self._at.get(bytes(examples[start : start + KEY]))
        if place is None:
            return None
        part = self._parts[place]
        begin, stop = self._begins[place], start + part.count * KEY
        if examples[start:stop] != self._examples[begin : begin + part.count * KEY]:
            return None
        # The last one may have ended for want of examples.
        if place == len(self._parts) - 1 and stop != len(examples):
            return None
        return part if self._is_sound(part) else None

    def knows(self, keys: Iterable[bytes]) -> bool:
        """Return whether all these files were described, as they are."""
        return all(self._find(one) is not None for one in keys)

    def known(self, keys: bytes | bytearray) -> np.ndarray:
        """Return bool [N]: which of N keys, one after the other, were described, as the files are; most at once."""
        words = np.frombuffer(keys, ">u8").astype(np.uint64).reshape(-1, 2)
        if not len(self._order):
            return np.zeros(len(words), bool)
        at = np.minimum(np.searchsorted(self._firsts, words[:, 0]), len(self._order) - 1)
        found = self._firsts[at] == words[:, 0]
        told = np.frombuffer(self._files, ">u8")[2 * self._order[at] + 1] == words[:, 1]
        for number in np.flatnonzero(found & ~told):  # Two keys of which the first half is the same.
            told[number] = self._find(bytes(keys[number * KEY : (number + 1) * KEY])) is not None
        return found & told

    def described(self, keys: Iterable[bytes]) -> list[Described] | None:
        """Return what is known of files; None if something is not known, or is damaged."""
        found = []
        for one in keys:
            known = self._find(one)
            place, number, kind = known or (0, 0, 0)
            opened = self._opened(place) if known else None
            if opened is None:
                return None
            rows, images = opened
            row, prefix = rows[number], _PREFIXES[kind]
            description = {name: row[f"{prefix}{name}"] for name in DESCRIPTION}
            content = None if row[f"{prefix}row"] is None else images[row[f"{prefix}row"]]
            found.append(Described(description, content))
        return found

    def keep(self, folder: Path, found: Found) -> None:
        """Replace the memo by what the ingest that wrote ``folder`` found; the files of the folder are linked."""
        parts = [list(vars(part).values()) for part in found.parts]
        told = {"basis": self._basis, "parts": parts, "files": len(found.files)}
        with atomic.folder(self.folder) as temporary:
            for kind, names in (
                (MANIFEST, {part.rows for part in found.parts}),
                (SHARDS, _shards(found.parts)),
            ):
                (temporary / kind).mkdir()
                for name in names:
                    link(folder / kind / name, temporary / kind / name)
            with (temporary / _INDEX).open("wb") as file:
                file.write(bytes(32))
                told_hash = hashlib.sha256()
                for piece in chain(
                    [json.dumps(told).encode() + b"\n"], *map(_kept, (found.examples, *found.files))
                ):
                    file.write(piece)
                    told_hash.update(piece)
                file.seek(0)
                file.write(told_hash.digest())

    def _find(self, one: bytes) -> tuple[int, int, int] | None:
        """Return the part of a file, its row in it, and whether it is an image or an input; None: it is not known.

        The first eight bytes of a key tell where to look, all sixteen whether it is there.
        """
        if not self._files:
            return None
        at = int(np.searchsorted(self._firsts, np.uint64(int.from_bytes(one[:8]))))
        while at < len(self._order):
            found = int(self._order[at])
            known = self._files[found * KEY : (found + 1) * KEY]
            if known == one:
                kind, row = divmod(found, self._count)
                place = bisect_right(self._begins, row * KEY) - 1
                return place, row - self._begins[place] // KEY, kind
            if known[:8] != one[:8]:
                break
            at += 1
        return None

    def _opened(self, place: int) -> tuple[list[dict[str, Any]], EncodedImages | None] | None:
        if place not in self._open:
            part = self._parts[place]
            self._open[place] = None
            if self._is_sound(part):
                rows = pq.ParquetFile(self.folder / MANIFEST / part.rows).read(use_threads=False).to_pylist()
                shard = [self.folder / SHARDS / part.shard] if part.shard else []
                self._open[place] = rows, EncodedImages(shard)
            if len(self._open) > _OPEN_PARTS:
                self._open.popitem(last=False)
        return self._open[place]

    def _is_sound(self, part: Part) -> bool:
        paths = [self.folder / MANIFEST / part.rows]
        if part.shard is not None:
            paths.append(self.folder / SHARDS / part.shard)
        return all(path.is_file() and digest(path) == path.stem for path in paths)


def _load(path: Path, basis: str) -> tuple[list[Part], bytes, list[bytes]]:
    """Return the parts, the examples' keys and the files' keys of an index; nothing of one that cannot be used."""
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return [], b"", []
    head, _, keys = content[32:].partition(b"\n")
    told = json.loads(head)
    if told["basis"] != basis:
        return [], b"", []
    parts = [Part(*values) for values in told["parts"]]
    size = sum(part.count for part in parts) * KEY
    return parts, keys[:size], [keys[size * n : size * (n + 1)] for n in range(1, told["files"] + 1)]


def _kept(keys: bytearray) -> Iterator[bytes]:
    """Yield ``keys`` in pieces, with another one in place of ``UNKNOWN``: one unknown file is not another."""
    for start in range(0, len(keys), _PIECE):
        found = np.frombuffer(keys[start : start + _PIECE], np.uint8).reshape(-1, KEY).copy()
        found[(found == 0).all(axis=1)] = 0xFF
        yield found.tobytes()


def _shards(parts: list[Part]) -> set[str]:
    return {part.shard for part in parts if part.shard is not None}
