"""Whether DVC's cache still holds what the names of its objects say: what a person's ``dvc checkout`` trusts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20
_NAME = re.compile(r"([0-9a-f]{30})(\.dir)?")


def damaged(cache: Path) -> Iterator[Path]:
    """Hash every object of ``cache``, a folder of ``ab/cdef...``; yield those of another hash.

    A file that vanishes meanwhile, as another DVC removes it, is none of them.
    """
    for folder in sorted(cache.glob("[0-9a-f][0-9a-f]")):
        for file in sorted(folder.iterdir()):
            name = _NAME.fullmatch(file.name)
            if name is None:
                continue  # DVC's own temporary files
            try:
                found = _hash(file)
            except FileNotFoundError:
                continue
            if found != folder.name + name[1]:
                yield file


def _hash(file: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
