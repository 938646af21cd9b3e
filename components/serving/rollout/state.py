"""What is to be served, in two small files: how the processes of a server agree, also across restarts.

``champions.json``  written by the follower: the last good champion of each model, by bundle hash, and what was refused.
                    After a restart with the registry down it is what there is to serve.
``controls.json``   written by workers: which models an operator took out, and how often somebody asked for a
                    look at the registry.

Both are replaced as a whole, so that a reader never sees half of one.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from components.project.layout import STATE
from data import atomic
from data.errors import UserError

FOLDER = STATE / "serving"
BUNDLES = STATE / "bundles"
"""The local copies of bundles, each in a folder named by its hash; the registry's cache is the same."""


@dataclass(frozen=True)
class Target:
    """A version of a model: number as text, its bundle's hash, and when it was promoted (UTC, ISO 8601) if known."""

    version: str
    sha256: str
    promoted_at: str = field(default="", compare=False)

    @property
    def folder(self) -> Path:
        """Where its bundle lies."""
        return BUNDLES / self.sha256


@dataclass(frozen=True)
class RejectedVersion:
    """A version that is not served although it should be, and why."""

    version: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class State:
    """What the follower found.

    Attributes:
        champions: the version to serve, by model.
        challengers: the version to try, by model.
        on_trial: models whose challenger the gate put on trial: it may answer a share of the requests.
        refused: champions (of the registry) that are not served, by model.
        checking: the bundle that is being verified; still there after a crash: it was the cause.
        crashed: bundles that crashed the process that verified them.
        error: why the last look at the registry failed; empty when it did not.
        asked: the number of the last request for a look that was followed.
        complete: whether a look at the registry ever came to its end: there may be no champions, but then
        that is known.
    """

    champions: dict[str, Target] = field(default_factory=dict)
    challengers: dict[str, Target] = field(default_factory=dict)
    on_trial: tuple[str, ...] = ()
    refused: dict[str, RejectedVersion] = field(default_factory=dict)
    checking: str = ""
    crashed: tuple[str, ...] = ()
    error: str = ""
    asked: int = 0
    complete: bool = False

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> State:
        """Build from the file's values.

        Raises:
            TypeError, AttributeError: another version of Darkroom wrote it.
        """
        kinds = {"champions": Target, "challengers": Target, "refused": RejectedVersion}
        read = {
            key: {name: kinds[key](**entry) for name, entry in value.items()} if key in kinds else value
            for key, value in values.items()
        }
        return cls(**read | {key: tuple(read.get(key, ())) for key in ("crashed", "on_trial")})


@dataclass(frozen=True)
class Controls:
    """What operators asked for.

    Attributes:
        unloaded: models that are not to be served.
        asked: how many looks at the registry were asked for.
    """

    unloaded: tuple[str, ...] = ()
    asked: int = 0


class StateFile:
    """``champions.json``. Its modification time is when the registry was last looked at."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.path = folder / "champions.json"

    def read(self) -> State:
        """Return the state; an empty one where there is none yet.

        Raises:
            UserError: the file is damaged, or of another version of Darkroom.
        """
        try:
            values = _read(self.path)
            return State.from_json(values) if values else State()
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{self.path}: cannot be read ({error}). The follower writes it anew.") from None

    def write(self, state: State) -> None:
        """Replace the state."""
        atomic.write_json(self.path, asdict(state))

    def touch(self) -> None:
        """Say that the registry was looked at and nothing changed."""
        os.utime(self.path)

    def mark(self) -> tuple[int, int]:
        """Return what differs after a change: inode and time, or zeros where there is no file."""
        return _mark(self.path)

    def looked(self) -> float:
        """Return when the registry was last looked at, in seconds since the epoch; 0 for never."""
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0


class ControlsFile:
    """``controls.json``."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.path = folder / "controls.json"

    def read(self) -> Controls:
        """Return the controls; empty ones where there are none yet."""
        values = _read(self.path)
        return Controls(tuple(values["unloaded"]), values["asked"]) if values else Controls()

    def ask(self, name: str, *, unloaded: bool) -> int:
        """Take ``name`` out or put it back, and ask for a look at the registry; return the request's number."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock"), timeout=10):
            before = self.read()
            names = {*before.unloaded, name} if unloaded else {*before.unloaded} - {name}
            atomic.write_json(self.path, {"unloaded": sorted(names), "asked": before.asked + 1})
            return before.asked + 1

    def hint(self) -> None:
        """Ask for a look at the registry, and nothing else."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock"), timeout=10):
            if self.path.exists():
                os.utime(self.path)
            else:
                atomic.write_json(self.path, asdict(Controls()))

    def mark(self) -> tuple[int, int]:
        """Return what differs after a change or a hint: inode and time, or zeros where there is no file."""
        return _mark(self.path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _mark(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns
