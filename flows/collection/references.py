"""What files of DVC's name: objects of its cache and remotes, as ``4f0e...`` and, of folders, ``4f0e....dir``."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from data.errors import UserError, first_line

_OBJECT = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])(?:\.dir)?")
_HEAD = "schema: '2.0'\nstages:\n"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def all_of(text: str) -> set[str]:
    """Return every object that a ``dvc.lock``, a ``.dvc`` file or an entry of the run cache names."""
    return set(_OBJECT.findall(text))


def made_into(out: Path, lock: str) -> set[str]:
    """Return the objects of ``out``, and of all that it is made from and through, as a ``dvc.lock`` has it.

    Where no stage makes ``out``, those are all that there are.

    Raises:
        UserError: it cannot be read.
    """
    stages = _stages(lock)
    making: dict[str, list[int]] = {}
    for number, stage in enumerate(stages):
        for made in stage.get("outs", ()):
            making.setdefault(made["path"], []).append(number)
    # A dep may be in an out, or a folder of several.
    above: dict[str, list[int]] = {}
    for path, numbers in making.items():
        for folder in _folders(path):
            above.setdefault(folder, []).extend(numbers)
    left, found = list(making.get(out.as_posix(), ())), set()
    if not left:
        return all_of(lock)
    while left:
        number = left.pop()
        if number in found:
            continue
        found.add(number)
        for dep in stages[number].get("deps", ()):
            path = dep["path"]
            left.extend(above.get(path, ()))
            for inside in (path, *_folders(path)):
                left.extend(making.get(inside, ()))
    entries = [entry for number in found for key in ("outs", "deps") for entry in stages[number].get(key, ())]
    return {entry["md5"] for entry in entries if "md5" in entry}


def _stages(lock: str) -> list[dict[str, Any]]:
    """Return the stages of a ``dvc.lock``: one that DVC wrote stage by stage, since most are the same in many."""
    try:
        body = lock.removeprefix(_HEAD)
        if body != lock and not re.search(r"^\S", body, re.MULTILINE):
            return [
                stage for text in re.split(r"^(?=  \S)", body, flags=re.MULTILINE) for stage in _parsed(text)
            ]
        return list((yaml.load(lock, _LOADER) or {}).get("stages", {}).values())
    except yaml.YAMLError as error:
        raise UserError(f"a dvc.lock cannot be read: {first_line(error)}") from None


@cache
def _parsed(text: str) -> tuple[dict[str, Any], ...]:
    return tuple((yaml.load(text, _LOADER) or {}).values())


def _folders(path: str) -> list[str]:
    return [folder.as_posix() for folder in PurePosixPath(path).parents if folder.name]
