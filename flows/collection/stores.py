"""DVC's cache and its remote as heaps of objects: what is there, what a folder's object names, and how some go."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data.errors import UserError, first_line
from flows.collection import references

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

_FOLDER = ".dir"
_AT_ONCE = 1000


class Store(NamedTuple):
    """A heap of objects.

    Attributes:
        name: what people call it.
        objects: what holds them.
        sizes: bytes of each that is there, by its name.
    """

    name: str
    objects: HashFileDB
    sizes: dict[str, int]


def cache(repo: Repo) -> Store:
    """Look at the cache of a project."""
    return _store("DVC cache", repo.cache.local)


def remote(repo: Repo) -> Store:
    """Look at the default remote of a project.

    Raises:
        UserError: there is none, or it does not answer.
    """
    try:
        return _store("DVC remote", repo.cloud.get_remote_odb())
    except Exception as error:  # of any kind of remote
        raise UserError(f".dvc/config: the DVC remote does not answer: {first_line(error)}") from None


def is_inside(repo: Repo) -> bool:
    """Say whether the cache lies in the project, so that no other uses it."""
    return Path(repo.cache.local.path).resolve().is_relative_to(Path(repo.root_dir).resolve())


def whole(needed: Iterable[str], stores: Collection[Store]) -> set[str]:
    """Return objects and what those of folders name, read from the first of ``stores`` that has them.

    Raises:
        UserError: an object of a folder cannot be read.
    """
    found = set(needed)
    for name in [one for one in found if one.endswith(_FOLDER)]:
        store = next((store for store in stores if name in store.sizes), None)
        if store is not None:
            found.update(_named(store, name))
    return found


def remove(store: Store, names: Collection[str], runs: Path | None) -> None:
    """Remove objects: what names one goes before it, entries of the run cache in ``runs``, then objects of folders."""
    from dvc_data.hashfile.db import get_index

    if runs is not None:
        for entry in _runs_of(runs, set(names)):
            entry.unlink()
    get_index(store.objects).clear()  # what DVC has noted of what is there
    for is_folder in (True, False):
        paths = [
            store.objects.oid_to_path(name) for name in sorted(names) if name.endswith(_FOLDER) == is_folder
        ]
        if _is_local(store.objects):
            for path in paths:
                Path(path).unlink(missing_ok=True)
            continue
        for start in range(0, len(paths), _AT_ONCE):
            store.objects.fs.remove(paths[start : start + _AT_ONCE])


def _store(name: str, objects: HashFileDB) -> Store:
    return Store(name, objects, dict(_sizes(objects)))


def _sizes(objects: HashFileDB) -> Iterator[tuple[str, int]]:
    if not _is_local(objects):
        if objects.fs.exists(objects.path):
            for path, about in objects.fs.fs.find(objects.path, detail=True).items():
                yield from _object(objects.fs.parts(path)[-2:], about["size"])
        return
    for folder in sorted(Path(objects.path).glob("[0-9a-f][0-9a-f]")):
        with os.scandir(folder) as files:
            for file in files:
                yield from _object((folder.name, file.name), file.stat().st_size)


def _object(parts: tuple[str, ...], size: int) -> Iterator[tuple[str, int]]:
    name = "".join(parts)
    if len(parts) == 2 and references.all_of(name) == {name}:  # all else are DVC's temporary files
        yield name, size


def _named(store: Store, name: str) -> Iterator[str]:
    path = store.objects.oid_to_path(name)
    try:
        yield from (entry["md5"] for entry in json.loads(store.objects.fs.cat_file(path)))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: is damaged, so nobody knows what it names: {first_line(error)}. Remove it: it is needed, and "
            "darkroom run fetches it or makes it again."
        ) from None


def _runs_of(runs: Path, names: set[str]) -> Iterator[Path]:
    """Yield the entries of a run cache whose outs are among ``names``."""
    for entry in runs.glob("*/*/*"):
        outs = entry.read_text(errors="replace").rpartition("\nouts:\n")[2]
        if references.all_of(outs) & names:
            yield entry


def _is_local(objects: HashFileDB) -> bool:
    return objects.fs.protocol == "local"
