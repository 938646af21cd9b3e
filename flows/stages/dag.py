"""The pipeline's stages as DVC knows them. ``dvc.yaml`` is the only place where they are written."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError, nearest
from flows.stages import leftovers, read_once


@dataclass(frozen=True)
class Stage:
    """A stage of ``dvc.yaml``.

    Attributes:
        address: its kind and its item, ``train@digits-lora``.
        kind: what it does, ``train``.
        item: the data set or model it does it for, ``digits-lora``.
        name: as DVC names it, ``train_fine_tuned@digits-lora``: what stands behind ``_`` says which section of
            ``params.yaml`` the item is in, as DVC has no deps that only some items of a section have.
        command: what it runs, in a shell.
        upstream: addresses of the stages whose outs it reads.
        paths: its deps and outs, absolute.
    """

    address: str
    kind: str
    item: str
    name: str
    command: str
    upstream: tuple[str, ...]
    paths: tuple[Path, ...]


class Project:
    """The project as DVC finds it: its files are read once for all that is asked of it."""

    def __init__(self) -> None:
        """Read ``dvc.yaml``, ``dvc.lock`` and ``params.yaml``.

        Raises:
            UserError: DVC cannot read one of them.
        """
        from dvc.exceptions import DvcException

        read_once.parse_once()
        try:
            self._repo = _open()
            self._graph = self._repo.index.graph
        except DvcException as error:
            raise UserError(_cut_lock() or _lacking(str(error)) or f"dvc.yaml: {error}") from None

    def stages(self) -> list[Stage]:
        """Return all stages, upstream stages first."""
        import networkx

        # DVC's edges point from a stage to what it depends on.
        ordered = networkx.lexicographical_topological_sort(
            self._graph.reverse(), key=lambda stage: stage.addressing
        )
        return [_stage(stage, self._graph.successors(stage)) for stage in ordered]

    def changed(self, stages: Iterable[Stage], timeout_s: float = math.inf) -> set[str]:
        """Return the addresses of the stages that DVC does not find up to date as they lie now.

        A stage whose upstream is in the set may turn out up to date once that has run. Another DVC process that uses
        this folder is waited for, with a line on standard error that says which.

        Raises:
            UserError: it went on for longer than ``timeout_s``.
        """
        from dvc.lock import LockError

        asked = {stage.name: stage.address for stage in stages}
        give_up = time.monotonic() + timeout_s
        told = None
        while True:
            try:
                with self._repo.lock, read_once.hash_once():
                    # Not one by one by name: DVC would parse dvc.lock again for each.
                    found = (stage for stage in self._repo.index.stages if stage.addressing in asked)
                    return {asked[stage.addressing] for stage in found if stage.changed()}
            except LockError as error:
                who = leftovers.holder() or " ".join(str(error).split())
            if time.monotonic() > give_up:
                raise UserError(f".dvc/tmp: another DVC process uses this folder: {who}") from None
            if who != told:
                print(f"waiting for {who}", file=sys.stderr)
                told = who
            time.sleep(0.5)
            self._repo = _open()  # who was waited for may have recorded something


def read() -> list[Stage]:
    """Read the DAG from DVC, upstream stages first.

    Raises:
        UserError: ``dvc.yaml``, ``dvc.lock`` or ``params.yaml`` cannot be read by DVC.
    """
    return Project().stages()


def select(stages: Iterable[Stage], models: Collection[str]) -> list[Stage]:
    """Return the stages of ``models`` and everything upstream of them, in the order given.

    Raises:
        UserError: one of ``models`` has no stage.
    """
    stages = list(stages)
    known = {stage.item for stage in stages if stage.kind == "train"}
    for name in models:
        if name not in known:
            raise UserError(f"params.yaml: no model {name!r} under 'models'.{nearest(name, known)}")
    wanted: set[str] = set()
    for stage in reversed(stages):
        if stage.address in wanted or (
            stage.item in models and stage.kind in ("train", "evaluate", "export")
        ):
            wanted |= {stage.address, *stage.upstream}
    return [stage for stage in stages if stage.address in wanted]


def with_labels(stages: Iterable[Stage], chosen: Iterable[Stage]) -> list[Stage]:
    """Return ``chosen`` and those of ``stages`` that look at the labels of their data, in the order of ``stages``."""
    wanted = {stage.address for stage in chosen}
    return [
        stage
        for stage in stages
        if stage.address in wanted or (stage.kind == "labels" and wanted.issuperset(stage.upstream))
    ]


def may_run(stages: Iterable[Stage], stale: Collection[str], forced: Collection[str] = ()) -> list[Stage]:
    """Return those of ``stages`` that are ``stale``, forced, or downstream of such a one.

    Args:
        stages: upstream stages first.
        stale: addresses of stages that are not up to date now.
        forced: items whose stages shall run in any case.
    """
    chosen: dict[str, Stage] = {}
    for stage in stages:
        follows = not chosen.keys().isdisjoint(stage.upstream)
        if follows or stage.address in stale or stage.item in forced:
            chosen[stage.address] = stage
    return list(chosen.values())


def _cut_lock() -> str | None:
    """Return what to do about a ``dvc.lock`` that a killed DVC left empty; None where that is not what is wrong."""
    lock = Path("dvc.lock")
    if not lock.exists() or lock.read_bytes().strip():
        return None
    return (
        f"{lock}: is empty: DVC was killed while it wrote it. Remove it, and the next run takes from DVC's cache what "
        f"it has: rm {lock}. Or take back the one that was committed last: git checkout -- {lock}"
    )


def _lacking(told: str) -> str | None:
    """Return which section of ``params.yaml`` a ``foreach`` of DVC lacks; None where ``told`` is another error."""
    found = re.search(r"stages\.\w+\.foreach.*Could not find '(\w+)'", told, flags=re.DOTALL)
    if found is None:
        return None
    empty = "[]" if found[1] == "judges" else "{}"
    return (
        f"params.yaml: {found[1]}: is missing, and dvc.yaml reads it. "
        f"Where there is nothing to put there: {found[1]}: {empty}"
    )


def _open():
    from dvc.repo import Repo

    return Repo(".")


def _stage(stage, upstream) -> Stage:
    kind, item = _what(stage.addressing)
    paths = [Path(output.fs_path) for output in [*stage.deps, *stage.outs] if output.protocol == "local"]
    return Stage(
        f"{kind}@{item}",
        kind,
        item,
        stage.addressing,
        stage.cmd,
        tuple(sorted("@".join(_what(other.addressing)) for other in upstream)),
        tuple(paths),
    )


def _what(name: str) -> tuple[str, str]:
    """Return the kind and the item of what DVC calls ``name``."""
    group, _, item = name.partition("@")
    return group.partition("_")[0], item
