"""Lets a challenger on trial answer a share of requests, raised in steps while nothing is shown against it.

Who asks gets the same version again: what decides is a key of theirs, and a raised share keeps those whom it has. The
champion answers each of these requests as well, unseen, so that agreement and times are known; and it answers in place
of a challenger that fails. The share follows from what all workers counted, and a fall-back from a file
(:mod:`.fallen`): workers need not talk to agree, and each looks several times a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.bundles.signature import Arrays
from components.serving.engine.batching import Job
from components.serving.engine.served_version import ServedVersion
from components.serving.rollout import fallen
from components.serving.rollout.challengers import Challengers
from components.serving.rollout.fallen import Fallen
from components.serving.rollout.repository import Repository
from components.serving.rollout.shadow import MOST_WAITING, agree
from components.serving.rollout.trial import judge
from components.serving.settings import CanarySettings
from components.serving.telemetry.counters import Metrics
from components.serving.telemetry.tried import record

log = logging.getLogger("darkroom.serving")


@dataclass(frozen=True)
class _Canary:
    """A challenger that answers a ``share`` in [0, 1] of a champion's requests, by the value of the header ``key``."""

    champion: ServedVersion
    challenger: ServedVersion
    share: float
    key: bytes

    def is_for(self, key: str) -> bool:
        """Whether it answers whoever asks with ``key``: the same ones as long as it is there."""
        digest = hashlib.blake2b(f"{self.challenger.bundle.sha256}:{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self.share * 2**64


class Canaries:
    """The canaries of a worker. Used in the event loop's thread only."""

    def __init__(
        self,
        settings: Mapping[str, CanarySettings],
        repository: Repository,
        challengers: Challengers,
        metrics: Metrics,
    ) -> None:
        self._settings, self._repository, self._challengers = settings, repository, challengers
        self._metrics = metrics
        self._on_trial: frozenset[str] = frozenset()
        self._answering: dict[str, _Canary] = {}
        self._tasks: set[asyncio.Task] = set()

    @property
    def active(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._on_trial)

    def follow(self, on_trial: Iterable[str]) -> None:
        """Have the challengers of these models answer, and no others."""
        self._on_trial = frozenset(on_trial) & self._settings.keys()
        for name in self._answering.keys() - self._on_trial:
            self._end(name)

    def pause(self) -> None:
        """Let no challenger answer until the next look."""
        for name in list(self._answering):
            self._end(name)

    def look(self, total: Metrics) -> None:
        """Raise shares, or fall back, by what all workers counted."""
        for name in self._on_trial:
            champion, challenger = self._repository.find(name), self._challengers.get(name)
            if champion is None or challenger is None or champion.bundle.sha256 == challenger.bundle.sha256:
                self._end(name)
                continue
            settings = self._settings[name]
            share = self._share(champion, challenger, settings, total)
            canary = _Canary(champion, challenger, share, settings.key.lower().encode())
            if self._answering.get(name) != canary:
                self._end(name)
                self._answering[name] = canary
                self._metrics.canary_share.set(share, *challenger.labels)
                told = {"model": name, "version": challenger.version, "share": share}
                log.info("canary answers a share of requests", extra=told)

    def chosen(self, served: ServedVersion, headers: Mapping[bytes, bytes], id: str) -> ServedVersion | None:
        """Return the challenger that is to answer a request for ``served`` in its place, or None.

        Args:
            served: the champion.
            headers: the request's headers or metadata, by name in lower case.
            id: its name, which stands for a key that is not given.
        """
        canary = self._answering.get(served.name)
        if canary is None or canary.champion is not served:
            return None
        given = headers.get(canary.key) if canary.key else None
        return canary.challenger if canary.is_for(given.decode("latin-1") if given else id) else None

    async def answer(
        self,
        champion: ServedVersion,
        challenger: ServedVersion,
        inputs: Arrays,
        timeout_s: float | None = None,
    ) -> tuple[ServedVersion, Arrays]:
        """Return the challenger's answer, or the champion's where the challenger has none; and whose it is.

        Raises:
            RequestError: the champion has no answer either.
        """
        came = time.perf_counter()
        try:
            outputs, job = await challenger.infer(inputs, timeout_s)
        except Exception as error:
            left = timeout_s if timeout_s is None else max(0.0, timeout_s - time.perf_counter() + came)
            outputs, _ = await champion.infer(inputs, left)
            # What the champion answers was no mistake of the client's, and no overload of the whole server.
            self._count(champion, challenger, "failed")
            log.warning("challenger failed", extra={"model": champion.name, "reason": str(error)})
            return champion, outputs
        task = asyncio.create_task(self._compare(champion, challenger, job, outputs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return challenger, outputs

    async def _compare(
        self, champion: ServedVersion, challenger: ServedVersion, ours: Job, outputs: Arrays
    ) -> None:
        if champion.queue.waiting >= MOST_WAITING:
            return self._count(champion, challenger, "skipped")
        try:
            answer, theirs = await champion.queue.infer(ours.inputs)
        except Exception as error:  # the champion's counters do not know of it: nobody waits for this answer
            log.warning("champion failed", extra={"model": champion.name, "reason": str(error)})
            return self._count(champion, challenger, "skipped")
        self._count(champion, challenger, "agreed" if agree(answer, outputs) else "disagreed")
        if ours.batch.rows == theirs.batch.rows:
            pair = champion.name, champion.bundle.sha256, challenger.bundle.sha256
            self._metrics.canary_ratio.observe(ours.batch.took / theirs.batch.took, *pair)

    def _share(
        self, champion: ServedVersion, challenger: ServedVersion, settings: CanarySettings, total: Metrics
    ) -> float:
        """Return which share of the requests the challenger is to answer now, in [0, 1]."""
        pair, demand = (champion.bundle.sha256, challenger.bundle.sha256), settings.demand
        if fallen.read(*pair, demand):
            return 0.0
        counted = record(total, champion.name, *pair, "canary")
        reasons = _differences(champion, challenger)
        if not reasons:
            outcome = judge(counted, demand)
            reasons = outcome.reasons if outcome.verdict == "failed" else ()
        if reasons:
            fallen.write(Fallen(champion.name, challenger.version, *pair, tuple(reasons)), demand)
            told = {"model": champion.name, "version": challenger.version, "reason": "; ".join(reasons)}
            log.error("canary fell back", extra=told)
            return 0.0
        step = min(counted.answered // settings.requests, len(settings.steps) - 1)
        return settings.steps[step] / 100

    def _count(self, champion: ServedVersion, challenger: ServedVersion, outcome: str) -> None:
        self._metrics.canary.add(champion.name, champion.bundle.sha256, challenger.bundle.sha256, outcome)

    def _end(self, name: str) -> None:
        if canary := self._answering.pop(name, None):
            self._metrics.canary_share.values.pop(canary.challenger.labels, None)


def _differences(champion: ServedVersion, challenger: ServedVersion) -> tuple[str, ...]:
    """Return why one request cannot be put to both: clients prepare pictures as the champion takes them."""
    theirs, ours = champion.bundle.description, challenger.bundle.description
    differing = [key for key in ("inputs", "image") if theirs.get(key) != ours.get(key)]
    return (f"cannot take the champion's requests: it has other {', '.join(differing)}",) if differing else ()
