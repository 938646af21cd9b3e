"""What the head asks of a worker, and what it is told. Both are JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from flows.remote_stages.storage import Remote

PROGRAMS = "DARKROOM_PROGRAMS"
"""Environment variable of a worker: folder of the ``python`` that asks fork servers, where its machine has some."""


@dataclass(frozen=True)
class Task:
    """One stage to be done.

    Attributes:
        stage: its name, as DVC has it, ``train@digits-cnn``.
        item: the data set or model it does it for.
        snapshot: the name of the project's files, from :mod:`flows.remote_stages.snapshot`.
        pack: where they are on the remote, a path below it.
        remote: the DVC remote.
        upstream: by name, the parts of ``dvc.lock`` of the stages whose outs it reads.
        time_limit: seconds that its command may take.
        force: run the command even when the run cache has its outs.
    """

    stage: str
    item: str
    snapshot: str
    pack: str
    remote: Remote
    upstream: dict[str, Any]
    time_limit: float
    force: bool = False

    def to_json(self) -> str:
        """Return it in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        """Return what :meth:`to_json` was called for."""
        values = json.loads(text)
        return cls(**values | {"remote": Remote(*values["remote"])})


@dataclass(frozen=True)
class Report:
    """How a stage went.

    Attributes:
        how: ``ran``, ``restored`` (its outs came from the run cache) or ``failed``.
        lock: its part of ``dvc.lock``; None where it failed.
        beside: text of files that it keeps outside of its outs, by path; the head wants them, too.
        log: the end of what it printed.
        message: why it failed.
        is_transient: another try may help, here or elsewhere: the network or the machine failed.
    """

    how: str
    lock: dict[str, Any] | None = None
    beside: dict[str, str] = field(default_factory=dict)
    log: str = ""
    message: str = ""
    is_transient: bool = False

    def to_json(self) -> str:
        """Return it in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Return what :meth:`to_json` was called for."""
        return cls(**json.loads(text))
