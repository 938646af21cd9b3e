"""The follower: looks at the registry, verifies what became champion, and says in the state file what to serve.

    python -m components.serving.follower POLL_S [--follow ledger] [--challengers] [--canary MODEL ...] [--alerts]

A process of its own, because MLflow takes seconds to import and holds Python's lock meanwhile, and because a graph that
crashes ONNX Runtime should crash here and not where requests are answered. It ends when its standard input does.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace

from components.registry import ledger, versions, waiting
from components.registry.ledger import Champion
from components.registry.versions import Model, Version
from components.serving.rollout.alarms import Alarms
from components.serving.rollout.state import ControlsFile, RejectedVersion, State, StateFile, Target
from components.serving.rollout.told import Told
from components.serving.settings import FOLLOWED
from components.serving.telemetry import logs, shared
from data.errors import UserError, first_line

RETRY_S = 60
"""Seconds after which a refused champion is looked at again: its download may have failed only then."""
_LOOK_S = 0.1
_NICENESS = 10
"""Added once it has looked: the server's start waits for the first look, and requests go before all others."""

log = logging.getLogger("darkroom.serving")


class Follower:
    """Keeps the state file as the registry says, with verified versions only."""

    def __init__(
        self, *, follow: str = "aliases", challengers: bool = False, canaries: Collection[str] = ()
    ) -> None:
        """Follow what ``follow`` says; the ``challengers`` of all models, or of those that may have ``canaries``."""
        self._file, self._follow, self._challengers = StateFile(), follow, challengers
        self._canaries = canaries
        self._refused_at: dict[str, float] = {}
        self._unrecorded: dict[str, Target] = {}
        self._alarms = Alarms()
        self.state = _after_crash(_left(self._file))

    def poll(self, asked: int = 0) -> None:
        """Look at the registry once and bring the state file up to date.

        While the registry does not answer, or has lost every model, what was good last goes on being served.

        Args:
            asked: number of the request that this look follows; 0 where it is time to look. What was asked
                for looks again at what was refused.
        """
        if asked != self.state.asked:
            self._refused_at.clear()
            self._write(replace(self.state, refused={}, crashed=()))
        try:
            models = versions.snapshot()
        except Exception as error:  # MLflow, SQLAlchemy and requests each raise kinds of their own
            return self._failed(first_line(error)[:300], asked)
        if self.state.champions and not any(model.versions for model in models.values()):
            return self._failed("the registry is empty", asked)
        wanted = dict(_at("champion", models))
        gone = self.state.champions.keys() - wanted.keys()
        state = replace(
            self.state,
            champions={n: target for n, target in self.state.champions.items() if n not in gone},
            refused={n: refusal for n, refusal in self.state.refused.items() if n in wanted},
            error="",
        )
        self._write(state)
        for name, version in wanted.items():
            self._bring(name, version)
        challengers = self._challenging(models)
        on_trial = tuple(
            name
            for name in self._canaries
            if name in challengers and self._is_on_trial(name, challengers[name])
        )
        self._write(
            replace(self.state, asked=asked, challengers=challengers, on_trial=on_trial, complete=True)
        )
        self._file.touch()
        self._alarms.raise_for(wanted, shared.refusals() | self.state.refused, self.state.champions)

    def _failed(self, error: str, asked: int) -> None:
        if error != self.state.error:
            log.error("the registry does not answer", extra={"reason": error})
        self._write(replace(self.state, error=error, asked=asked))

    def _bring(self, name: str, version: Version) -> None:
        """Make ``version`` the one to serve once it is verified, or say why it is not."""
        target = Target(str(version.number), version.bundle_sha256)
        state = self.state
        if state.champions.get(name) == target:
            if name in state.refused:  # rolled back from a bad one
                self._write(replace(state, refused=_without(state.refused, name)))
            return
        if self._follow == "ledger" and not self._is_recorded(version, target):
            return
        refused = state.refused.get(name)
        if refused and refused.version == target.version and time.monotonic() < self._retry_at(name):
            return
        if target.sha256 in state.crashed:
            return self._refuse(name, target, "it crashed the process that verified it")
        self._write(replace(state, checking=target.sha256))
        try:
            _verify(version)
        except UserError as error:
            self._refuse(name, target, str(error))
            return
        target = replace(target, promoted_at=_promoted_at(version))
        champions = {**self.state.champions, name: target}
        refusals = _without(self.state.refused, name)
        self._write(replace(self.state, champions=champions, refused=refusals, checking=""))
        log.info("verified", extra={"model": name, "version": target.version, "sha256": target.sha256})

    def _is_recorded(self, version: Version, target: Target) -> bool:
        """Say whether the ledger has the move that made ``version`` champion; refuse it where it has none.

        An alias is moved a moment before its entry is whole, so it is refused when it is looked at again.
        """
        name, told = version.name, ""
        try:
            found = ledger.recorded(ledger.history(name))
        except Exception as error:  # of MLflow, SQLAlchemy or requests
            found, told = None, f": the ledger cannot be read: {first_line(error)[:300]}"
        if found and found.is_same(Champion(version.number, version.bundle_sha256)):
            self._unrecorded.pop(name, None)
            return True
        refused = self.state.refused.get(name)
        if self._unrecorded.get(name) == target and (refused is None or refused.sha256 != target.sha256):
            mend = f"darkroom promote {name} --version {version.number}"
            self._refuse(
                name, target, f"no move of its alias is in the ledger{told or f': {mend} asks the gate'}"
            )
        self._unrecorded[name] = target
        return False

    def _refuse(self, name: str, target: Target, reason: str) -> None:
        log.error("refused", extra={"model": name, "version": target.version, "reason": reason})
        self._refused_at[name] = time.monotonic()
        refusal = RejectedVersion(target.version, target.sha256, reason)
        self._write(replace(self.state, refused={**self.state.refused, name: refusal}, checking=""))

    def _retry_at(self, name: str) -> float:
        return self._refused_at.setdefault(name, time.monotonic()) + RETRY_S

    def _challenging(self, models: dict[str, Model]) -> dict[str, Target]:
        """Return the verified challengers of the champions that are served."""
        found = {}
        for name, version in _at("challenger", models):
            if not self._challengers and name not in self._canaries:
                continue
            target = Target(str(version.number), version.bundle_sha256)
            known = self.state.challengers.get(name)
            champion = self.state.champions.get(name)
            if champion is None or champion.sha256 == target.sha256:
                continue
            try:
                if known != target:
                    _verify(version)
            except UserError as error:
                log.warning("challenger refused", extra={"model": name, "reason": str(error)})
                continue
            found[name] = target
        return found

    def _is_on_trial(self, name: str, challenger: Target) -> bool:
        """Whether the gate put ``challenger`` on trial; while the ledger cannot be read, as it was."""
        try:
            entries = ledger.history(name)
        except Exception as error:  # of MLflow, SQLAlchemy or requests
            log.warning("the ledger cannot be read", extra={"model": name, "reason": first_line(error)[:300]})
            return name in self.state.on_trial and self.state.challengers[name] == challenger
        return waiting.is_answering(entries, self.state.champions[name].sha256, challenger.sha256)

    def _write(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._file.write(state)


def _verify(version: Version) -> None:
    """Bring the bundle here and verify it whole: hash, links, graph, signature, golden answers.

    Raises:
        UserError: it is not good.
    """
    versions.fetch(version).check_golden()


def _promoted_at(version: Version) -> str:
    """Return when the version became champion last; empty when its alias was moved by hand, or the registry is gone."""
    try:
        moves = [entry for entry in ledger.history(version.name) if entry.is_move]
    except Exception:  # of MLflow, SQLAlchemy or requests; a champion is served all the same
        return ""
    return moves[-1].at if moves and moves[-1].version == version.number else ""


def _at(alias: str, models: dict[str, Model]) -> Iterator[tuple[str, Version]]:
    for name, model in sorted(models.items()):
        if version := model.alias(alias):
            yield name, version


def _left(file: StateFile) -> State:
    """Return what an earlier follower left; of a damaged file nothing, for the registry has it all."""
    try:
        return file.read()
    except UserError as error:
        log.error("state lost", extra={"reason": str(error)})
        return State()


def _after_crash(state: State) -> State:
    """Return the state that an earlier follower left; the bundle that it was verifying when it died is refused."""
    if not state.checking:
        return state
    return replace(state, checking="", crashed=(*state.crashed, state.checking))


def _without(refusals: dict[str, RejectedVersion], name: str) -> dict[str, RejectedVersion]:
    return {key: refusal for key, refusal in refusals.items() if key != name}


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def main() -> None:
    """Follow until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m components.serving.follower")
    parser.add_argument("poll_s", type=float)
    parser.add_argument("--follow", choices=FOLLOWED, default=FOLLOWED[0])
    parser.add_argument("--challengers", action="store_true")
    parser.add_argument("--canary", action="append", default=[])
    parser.add_argument("--alerts", action="store_true")
    arguments = parser.parse_args()
    logs.start(f"follower-{os.getpid()}")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told = {"follow": arguments.follow, "challengers": arguments.challengers, "canaries": arguments.canary}
    follower, controls, people = Follower(**told), ControlsFile(), Told()
    follower.poll(controls.read().asked)
    os.nice(_NICENESS)
    while True:
        mark = controls.mark()
        follower.poll(controls.read().asked)
        if arguments.alerts:
            people.look()
        due = time.monotonic() + arguments.poll_s
        while time.monotonic() < due and controls.mark() == mark:
            time.sleep(_LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
