"""Finds the files of a folder by the names that other systems wrote of them: Windows, macOS, the web."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from data.errors import UserError

_MOST_COMPARED, _MOST_GUESSED = 5_000, 50
"""The most names among which one is guessed, and the most missing files for which it is: each takes milliseconds."""


class FileNames:
    """The files of a folder, by their names.

    Args:
        folder: where they are.
        paths: paths relative to it, with ``/`` between parts.
    """

    def __init__(self, folder: Path, paths: Iterable[str]) -> None:
        self._folder = folder
        self._paths = sorted(paths)
        self._there = frozenset(self._paths)
        self._guessed = 0

    @cached_property
    def _by_key(self) -> dict[str, list[str]]:
        return _grouped(self._paths, _key)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _grouped(self._paths, lambda path: PurePosixPath(_key(path)).name)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped(self._paths, lambda path: PurePosixPath(_key(path)).stem)

    def find(self, where: str, *paths: str) -> str | None:
        r"""Return the first of ``paths`` that is there, else the file that differs by ``\``, case or ``%20``, or None.

        Raises:
            UserError: no file has the very name and several differ in such ways only; begins with ``where``.
        """
        for path in paths:
            if path in self._there:
                return path
        for path in paths:  # Files of unknown endings are not listed.
            if _is_file(self._folder / path):
                return path
        for path in paths:
            if found := only(where, path, self._by_key.get(_key(path), [])):
                return found
        return None

    def ending_in(self, path: str) -> list[str]:
        """Return the files whose paths end in all parts of ``path``, written in any of the ways of :meth:`find`."""
        key = _key(path)
        alike = self._by_name.get(PurePosixPath(key).name, [])
        return [found for found in alike if f"/{_key(found)}".endswith(f"/{key}")]

    def nearest(self, path: str) -> str | None:
        """Return the file whose name is most like that of ``path``: with another ending, or a letter or so apart.

        The second is tried among few files only, and not for many of them.
        """
        name = PurePosixPath(_key(path))
        if name.stem in self._by_stem:
            return self._by_stem[name.stem][0]
        if len(self._by_name) > _MOST_COMPARED or self._guessed >= _MOST_GUESSED:
            return None
        self._guessed += 1
        close = difflib.get_close_matches(name.name, self._by_name, n=1, cutoff=0.6)
        return self._by_name[close[0]][0] if close else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # A name that is too long, or a folder that may not be looked into.
        return False


def _grouped(paths: Iterable[str], by: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(by(path), []).append(path)
    return found


def _key(path: str) -> str:
    """Return what two spellings of one path have in common."""
    plain = unicodedata.normalize("NFC", unquote(path, errors="surrogateescape")).replace("\\", "/")
    return str(PurePosixPath(plain.casefold()))


def is_writable(text: str) -> bool:
    """Return whether a name of a file, or any text that is kept, can be ``text``: no zero, no half of a character."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def only(where: str, path: str, found: list[str]) -> str | None:
    """Return the one that is ``found``, None where none is.

    Raises:
        UserError: there are several; begins with ``where``.
    """
    if len(found) > 1:
        raise UserError(f"{where}: {path!r} is no file, and may mean {found[0]!r} or {found[1]!r}.")
    return found[0] if found else None
