"""What a stage reads, held against what it was when the stage began.

DVC hashes the deps and the params of a stage once more when its command has ended, and records that. What was edited in
between would stand in ``dvc.lock`` beside results that were made without it. So the package notes both before any other
file of the project is read, and a stage that ends with others fails: DVC records nothing of it.

Small files are hashed. Of larger ones, which only the pipeline writes, size, modification time and inode are compared:
these are the marks by which DVC itself decides whether to hash a file anew.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from data.errors import UserError

STAGE = "DVC_STAGE"
"""The variable in which DVC tells a command the name of its stage."""

_HASHED = 1 << 20
_TOLD = 5
_PARAMS = Path("params.yaml")
_DVC_YAML = Path("dvc.yaml")
_ABSENT = object()
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C where there is one: ten times as fast


@dataclass(frozen=True)
class Inputs:
    """Deps and params of a stage, as they were at one time.

    Attributes:
        params: value of each key of ``params.yaml`` that the stage depends on, by its dotted path.
        files: what tells the content of each file that it depends on, by its path.
    """

    params: dict[str, Any]
    files: dict[str, Any]

    @classmethod
    def read(cls, keys: list[str], deps: list[str]) -> Inputs:
        """Read ``keys`` of ``params.yaml`` and the files and folders ``deps`` as they are now.

        Raises:
            UserError: ``params.yaml`` cannot be read.
        """
        settings = _load(_PARAMS)
        files = {str(file): content for dep in deps for file, content in _contents(Path(dep))}
        params = [pair for key in keys for pair in _leaves(key, _value(settings, key.split(".")))]
        return cls(dict(params), files)

    def differences(self, now: Inputs) -> list[str]:
        """Return a message for each key and each file that is not in ``now`` what it is here."""
        keys, files = _unequal(self.params, now.params), _unequal(self.files, now.files)
        told = [
            f"{_PARAMS}: {key}: {_tell(self.params, key)} when it began, {_tell(now.params, key)} now"
            for key in keys
        ]
        return told + [
            f"{file}: {'removed' if file not in now.files else 'changed' if file in self.files else 'added'}"
            for file in files
        ]


@dataclass(frozen=True)
class Begun:
    """A stage that this process is the command of.

    Attributes:
        stage: its name, as DVC has it.
        keys: of ``params.yaml``, on which it depends.
        deps: paths of files and folders on which it depends.
        inputs: what they were when it began.
    """

    stage: str
    keys: list[str]
    deps: list[str]
    inputs: Inputs


_begun: Begun | None = None


def note() -> None:
    """Note what the stage that this process is the command of reads. Ends the process where that cannot be told."""
    global _begun
    stage = os.environ[STAGE]
    try:
        keys, deps = declared(stage)
        _begun = Begun(stage, keys, deps, Inputs.read(keys, deps))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def confirm() -> None:
    """Make sure that what DVC is about to record is what :func:`note` saw.

    Raises:
        UserError: it is not; the message names every file and key, with both values.
    """
    if _begun is None:
        return
    found = _begun.inputs.differences(Inputs.read(_begun.keys, _begun.deps))
    if found:
        more = [f"... and {len(found) - _TOLD} more"] if len(found) > _TOLD else []
        raise UserError(
            "\n".join(
                [f"{_begun.stage} reads what was edited while it ran, so its results are not recorded:"]
                + [f"  {line}" for line in found[:_TOLD] + more]
                + ["Run it again, for what is there now."]
            )
        )


def require(path: Path, otherwise: str) -> None:
    """Make sure that DVC knows that the stage that this process is the command of reads ``path``.

    Raises:
        UserError: ``dvc.yaml`` does not declare it, so DVC would not see a change in it. ``otherwise`` says what to do.
    """
    if _begun is not None and not any(path.is_relative_to(dep) for dep in _begun.deps):
        raise UserError(f"{_DVC_YAML}: {_begun.stage} reads {path}, which is none of its deps. {otherwise}")


def declared(stage: str) -> tuple[list[str], list[str]]:
    """Return the keys of ``params.yaml`` and the paths that ``dvc.yaml`` says ``stage``, as DVC names it, depends on.

    Raises:
        UserError: ``dvc.yaml`` or ``params.yaml`` cannot be read or has no such stage.
    """
    group, _, item = stage.partition("@")
    entry = _value(_load(_DVC_YAML), ["stages", group])
    names = {}
    if isinstance(entry, dict) and "foreach" in entry:
        items = _value(_load(_PARAMS), str(entry["foreach"]).strip("${} ").split("."))
        names = {"key": item, "item": item if isinstance(items, list) else _value(items, [item])}
        entry = entry["do"]
    if not isinstance(entry, dict):
        raise UserError(f"{_DVC_YAML}: stages: {stage!r} is not there any more. Run it again.")

    def fill(text: str) -> str:
        return re.sub(r"\$\{([^}]*)\}", lambda match: found(match[1].strip()), text)

    def found(name: str) -> str:
        value = _value(names, name.split("."))
        if not isinstance(value, str | int | float):
            raise UserError(f"{_DVC_YAML}: stages.{group}: ${{{name}}} means nothing for {stage!r}.")
        return str(value)

    keys = [fill(key) for key in entry.get("params", ()) if isinstance(key, str)]
    others = [fill(file) for key in entry.get("params", ()) if isinstance(key, dict) for file in key]
    return keys, [*map(fill, entry.get("deps", ())), *others]


def _load(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(), _LOADER)
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def _value(tree: Any, path: list[str]) -> Any:
    """Return what is in a tree of mappings at ``path``, or :data:`_ABSENT`."""

    def inner(node: Any, name: str) -> Any:
        return node.get(name, _ABSENT) if isinstance(node, dict) else _ABSENT

    return reduce(inner, path, tree)


def _leaves(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for name, inner in node.items():
            yield from _leaves(f"{key}.{name}", inner)
    elif node is not _ABSENT:
        yield key, node


def _contents(path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield what is at ``path``, a file or all in a folder, without what editors, systems and Python leave behind."""
    for file in _walk(path) if path.is_dir() else [path]:
        with suppress(FileNotFoundError):
            status = file.stat()
            if status.st_size > _HASHED:
                yield file, (status.st_size, status.st_mtime_ns, status.st_ino)
            else:
                yield file, hashlib.sha256(file.read_bytes()).hexdigest()


def _walk(path: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if name != "__pycache__" and not name.startswith(".")]
        yield from (Path(folder, file) for file in files if not file.startswith("."))


def _unequal(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the keys that have not the same value in both; ``1`` is neither ``1.0`` nor ``true``."""
    return [key for key in before | now if repr(before.get(key, _ABSENT)) != repr(now.get(key, _ABSENT))]


def _tell(params: dict[str, Any], key: str) -> str:
    return repr(params[key]) if key in params else "not there"
