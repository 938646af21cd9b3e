"""The ledger: decisions of the gate, moves of a champion, refusals and collections, in MLflow with evidence.

One finished run of the experiment ``darkroom-promotions`` per entry. What a table shows is in the run's tags,
the whole evidence in ``evidence.json``. Entries are never changed. Each carries its place in the order of its
model's entries, because the clocks of the machines that write them need not agree; and the hashes of bundles,
because versions can be deleted in MLflow and numbers given again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mlflow.entities import Run

from components.registry import locks, mlflow_store
from components.registry.mlflow_store import quoted
from components.registry.versions import Model, Version
from data.errors import first_line

EXPERIMENT = "darkroom-promotions"
EVIDENCE = "evidence.json"

MOVES = ("promotion", "rollback")
"""The kinds of entries that move a champion."""

_PREFIX = "darkroom."
_POSITION = f"{_PREFIX}position"
_REASONS_LENGTH = 7500  # MLflow cuts a tag at 8000 characters


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes:
        kind: ``decision`` of the gate, ``approval`` of a decision by a person, ``trial`` of a decided version on
            requests of the running server, ``promotion`` or ``rollback`` of the champion, ``refusal`` of a champion by
            a server, ``collection`` of what is not needed any more.
        model: the registered model; empty for a collection of other things than versions.
        version: the version that was decided on, that became champion or was refused; 0 for a collection.
        bundle_sha256: its bundle; empty for a collection.
        champion: the champion before, of a refusal the version that goes on being served; None when there was none.
        champion_sha256: its bundle; empty when there was none, and in entries of older releases.
        verdict: of a decision ``promoted``, ``refused`` or ``pending`` (people have to approve), of an approval
            ``approved`` or ``rejected``, of a trial ``proved`` or ``failed``, empty for a move.
        reasons: what decided it, or why it was moved.
        by: who did it; ``gate`` when no one intervened, of a refusal ``server on HOST``.
        at: when, in UTC, ISO 8601.
        id: the MLflow run.
        about: of an approval or trial, the decision that it is about, by its ``id``; else empty.
        momentary: of a refusal, whether nothing but time speaks against the version: it is looked at again.
    """

    kind: Literal["decision", "approval", "trial", "promotion", "rollback", "refusal", "collection"]
    model: str
    version: int
    bundle_sha256: str
    champion: int | None
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    by: str = "gate"
    at: str = ""
    id: str = field(default="", compare=False)
    champion_sha256: str = ""
    about: str = ""
    momentary: bool = False

    @property
    def is_move(self) -> bool:
        """Whether it moved the champion."""
        return self.kind in MOVES


class Champion(NamedTuple):
    """A version that was champion, by number and bundle; the bundle is empty where the ledger does not know it."""

    version: int
    bundle_sha256: str

    def is_same(self, other: Champion) -> bool:
        """Say whether both are one bundle; numbers decide only where a bundle is unknown."""
        if self.bundle_sha256 and other.bundle_sha256:
            return self.bundle_sha256 == other.bundle_sha256
        return self.version == other.version

    def registered(self, model: Model) -> Version | None:
        """Return its version in ``model``, or None: by its bundle, since numbers are given again."""
        if self.bundle_sha256:
            return next(iter(model.of_bundle(self.bundle_sha256)), None)
        return model.version(self.version)


def record(entry: Entry, key: str, evidence: dict[str, Any]) -> Entry:
    """Keep an entry under ``key``; when there is one under that key, return that one instead.

    Call it under the model's lock. Behind a tracking server two machines may still record the same at the same time:
    the earlier entry counts.
    """
    if found := find(key):
        return found
    with recording(entry, key, evidence) as run_id:
        pass
    return _entry(mlflow_store.client().get_run(run_id))


@contextmanager
def recording(entry: Entry, key: str, evidence: dict[str, Any]) -> Iterator[str]:
    """Keep an entry once the block, which does what it tells of and gets the entry's id, ends well."""
    title = " ".join(str(word) for word in (entry.model, entry.version, entry.verdict or entry.kind) if word)
    position = 1 + max((_position(run) for run in _runs(entry.model)), default=-1)
    tags = _tags(entry) | {_POSITION: str(position)}
    with mlflow_store.whole_run(EXPERIMENT, key, title, tags) as run_id:
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / EVIDENCE
            path.write_text(json.dumps(evidence, indent=2, sort_keys=True))
            mlflow_store.client().log_artifact(run_id, str(path))
        yield run_id


def finish(model: str, champion: int | None) -> bool:
    """Close the record of a move that was killed on the way, by where the alias is; say if there was one.

    Call it under the model's lock. Where that keeps out other machines, whoever began the move is gone.
    """
    of_model = f"tags.`{_PREFIX}model` = {quoted(model)}"
    unfinished = mlflow_store.unfinished(EXPERIMENT, of_model, of_all=locks.hold_everywhere())
    moves = [run for run in unfinished if run.data.tags[f"{_PREFIX}kind"] in MOVES]
    left = [run for run in moves if run.info.status == "RUNNING"]
    for run in left:
        moved = run.data.tags[f"{_PREFIX}version"] == str(champion)
        mlflow_store.client().set_terminated(run.info.run_id, "FINISHED" if moved else "FAILED")
    return bool(left)


def interrupted(key: str) -> dict[str, Any]:
    """Return the evidence of an entry under ``key`` whose block was killed; empty where none had begun."""
    left = mlflow_store.unfinished(EXPERIMENT, f"tags.`{mlflow_store.KEY}` = {quoted(key)}")
    written = [run for run in left if mlflow_store.client().list_artifacts(run.info.run_id)]
    try:
        return _evidence(written[0].info.run_id) if written else {}
    except json.JSONDecodeError:  # cut short: the block follows only when it is whole
        return {}


def find(key: str) -> Entry | None:
    """Return the entry under ``key``, or None."""
    runs = mlflow_store.finished(EXPERIMENT, f"tags.`{mlflow_store.KEY}` = {quoted(key)}")
    return _entry(runs[0]) if runs else None


def last(key: str) -> Entry | None:
    """Return the last entry under ``key`` or under one that begins with it, or None."""
    runs = mlflow_store.finished(EXPERIMENT, f"tags.`{mlflow_store.KEY}` LIKE {quoted(f'{key}%')}")
    return _entry(max(runs, key=_position)) if runs else None


def evidence(entry: Entry) -> dict[str, Any]:
    """Return the evidence of an entry; empty, with a line, where it was kept out of this machine's reach.

    What was decided is in the entry itself and holds all the same.
    """
    try:
        return _evidence(entry.id)
    except (mlflow_store.MlflowException, OSError) as error:
        told = f"{entry.model} version {entry.version}: the evidence of {entry.at}"
        print(f"{told} is out of reach: {first_line(error)}", file=sys.stderr)
        return {}


def history(model: str | None = None) -> list[Entry]:
    """Return all entries, or those of one model, oldest first.

    Within a model the order is the one in which entries were made, whatever the clocks said.
    """
    chains: dict[str, list[Run]] = {}
    for run in _runs(model):
        chains.setdefault(run.data.tags[f"{_PREFIX}model"], []).append(run)
    timed: list[tuple[int, Run]] = []
    for runs in chains.values():
        latest = 0
        for run in sorted(runs, key=_position):
            latest = max(latest, run.info.start_time)
            timed.append((latest, run))
    return [_entry(run) for _, run in sorted(timed, key=lambda pair: pair[0])]


def written_here(since: float) -> list[Entry]:
    """Return the entries that this workspace recorded at the Unix time ``since`` or later."""
    return [_entry(run) for run in mlflow_store.finished_here(EXPERIMENT, since)]


def decisions(entries: Iterable[Entry], bundle_sha256: str) -> list[Entry]:
    """Return the gate's decisions on a bundle, in the order of ``entries``, which are of one model."""
    return [entry for entry in entries if entry.kind == "decision" and entry.bundle_sha256 == bundle_sha256]


def served(entries: Sequence[Entry]) -> list[Champion]:
    """Return one model's champions: the last one is served, a rollback goes to the one before.

    A promotion puts its version on top; a rollback takes off what lies above its version.
    """
    stack: list[Champion] = []
    for entry in entries:
        if not entry.is_move:
            continue
        if entry.champion is not None:
            _put(stack, Champion(entry.champion, entry.champion_sha256))  # it may have been set by hand
        moved_to = Champion(entry.version, entry.bundle_sha256)
        if entry.kind == "rollback":
            while stack and not stack[-1].is_same(moved_to):
                stack.pop()
        _put(stack, moved_to)
    return stack


def recorded(entries: Sequence[Entry]) -> Champion | None:
    """Return the champion that one model's entries end with, or None."""
    return (served(entries) or [None])[-1]


def _put(stack: list[Champion], champion: Champion) -> None:
    if not stack or not stack[-1].is_same(champion):
        stack.append(champion)


def _evidence(run_id: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        file = mlflow_store.client().download_artifacts(run_id, EVIDENCE, temporary)
        return json.loads(Path(file).read_text())


def _runs(model: str | None) -> list[Run]:
    return mlflow_store.finished(EXPERIMENT, f"tags.`{_PREFIX}model` = {quoted(model)}" if model else "")


def _position(run: Run) -> int:
    """Return the place of an entry in its model's order; those of older releases come first, by their time."""
    return int(run.data.tags.get(_POSITION, -1))


def _tags(entry: Entry) -> dict[str, str]:
    reasons = "\n".join(entry.reasons)[:_REASONS_LENGTH]
    champion = "" if entry.champion is None else str(entry.champion)
    values = {
        "kind": entry.kind,
        "model": entry.model,
        "version": str(entry.version),
        "bundle_sha256": entry.bundle_sha256,
        "champion": champion,
        "champion_sha256": entry.champion_sha256,
        "verdict": entry.verdict,
        "reasons": reasons,
        "by": entry.by,
        "about": entry.about,
        "momentary": str(entry.momentary).lower(),
    }
    return {_PREFIX + name: value for name, value in values.items()}


def _entry(run: Run) -> Entry:
    tags = {
        name.removeprefix(_PREFIX): value for name, value in run.data.tags.items() if name.startswith(_PREFIX)
    }
    return Entry(
        kind=tags["kind"],
        model=tags["model"],
        version=int(tags["version"]),
        bundle_sha256=tags["bundle_sha256"],
        champion=int(tags["champion"]) if tags["champion"] else None,
        champion_sha256=tags.get("champion_sha256", ""),
        verdict=tags["verdict"],
        reasons=tuple(tags["reasons"].splitlines()),
        by=tags["by"],
        about=tags.get("about", ""),
        momentary=tags.get("momentary") == "true",
        at=datetime.fromtimestamp(run.info.end_time / 1000, UTC).isoformat(timespec="seconds"),
        id=run.info.run_id,
    )
