"""DVC that reads and writes ``dvc.lock`` stage by stage (:mod:`components.project.dvc_lock`), with the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.project import dvc_lock
from components.project.dvc_lock import NotAsWritten
from data import atomic

if TYPE_CHECKING:
    from dvc.dvcfile import Lockfile
    from dvc.stage import PipelineStage


def merge(entries: Mapping[str, str]) -> None:
    """Put ``entries``, lines of stages as :func:`dvc_lock.split` gives them, into ``dvc.lock``, in one step.

    Whoever calls holds DVC's lock of the repository.

    Raises:
        NotAsWritten: the file is there and is not as DVC writes it.
    """
    known = dvc_lock.split(dvc_lock.FILE.read_text(encoding="utf-8")) if dvc_lock.FILE.exists() else {}
    atomic.write_text(dvc_lock.FILE, dvc_lock.join({**known, **entries}))


def use() -> None:
    """Have DVC in this process parse only the entries that it asks for, and put in only those that it records.

    With a ``dvc.lock`` that is not as it writes it, it does as it does by itself.
    """
    from dvc.dvcfile import Lockfile

    load, dump = Lockfile._load_yaml, Lockfile.dump_stages

    def load_by_entry(self: Lockfile, **options: object) -> tuple[Any, str]:
        if options:  # for an edit of the file: DVC wants its comments, too
            return load(self, **options)
        try:
            text = _text(self)
            return {"schema": "2.0", "stages": _Entries(self, dvc_lock.split(text))}, text
        except NotAsWritten:
            return load(self)

    def dump_by_entry(self: Lockfile, stages: list[PipelineStage], **options: object) -> None:
        try:
            text = _text(self)
            new = dvc_lock.join(dvc_lock.split(text) | _lines(stages, **options))
        except NotAsWritten:
            dump(self, stages, **options)
            return
        if new != text:
            atomic.write_text(Path(self.path), new)
            self.repo.scm_context.track_file(self.relpath)

    Lockfile._load_yaml, Lockfile.dump_stages = load_by_entry, dump_by_entry


class _Entries(Mapping):
    """What is recorded of each stage, parsed and checked by DVC's own means when it is asked for."""

    def __init__(self, file: Lockfile, lines: dict[str, str]) -> None:
        self._file, self._lines = file, lines

    def __getitem__(self, stage: str) -> dict[str, Any]:
        from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
        from dvc.utils import strictyaml
        from dvc.utils.serialize import parse_yaml

        lines = self._lines[stage]
        entry = parse_yaml(lines, self._file.path)[stage]
        strictyaml.validate(entry, COMPILED_LOCK_FILE_STAGE_SCHEMA, text=lines, path=self._file.relpath)
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def _text(file: Lockfile) -> str:
    """Return the text of ``file``; none where it is not there.

    Raises:
        NotAsWritten: it is one of a commit, not of this folder.
    """
    from dvc.fs import LocalFileSystem

    if not isinstance(file.repo.fs, LocalFileSystem):
        raise NotAsWritten
    path = Path(file.path)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _lines(stages: list[PipelineStage], **options: object) -> dict[str, str]:
    """Return the lines that DVC writes for each of ``stages``."""
    from dvc.stage import serialize
    from dvc.utils.serialize import dumps_yaml

    recorded = {"schema": "2.0", "stages": {}}
    for stage in stages:
        recorded["stages"] |= serialize.to_lockfile(stage, **options)
    return dvc_lock.split(dumps_yaml(recorded))
