"""Which version of each model answers, and what is known of those that do not."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from components.serving.engine.served_version import ServedVersion
from components.serving.request_error import Reason, RequestError
from components.serving.rollout.state import RejectedVersion
from components.serving.telemetry.counters import Metrics

_COUNTED = 3
"""Versions before the served one whose counters are kept."""

Condition = Literal["READY", "LOADING", "UNAVAILABLE"]


@dataclass(frozen=True)
class Entry:
    """A line of the repository's index."""

    name: str
    version: str
    state: Condition
    reason: str = ""


class Repository:
    """The served versions by model. Used in the event loop's thread only, so that a swap is one assignment."""

    def __init__(self, metrics: Metrics) -> None:
        self._served: dict[str, ServedVersion] = {}
        self._loading: dict[str, str] = {}
        self._refused: dict[str, RejectedVersion] = {}
        self._unloaded: set[str] = set()
        self._earlier: dict[str, deque[str]] = {}
        self._metrics = metrics

    def get(self, name: str, version: str | None = None) -> ServedVersion:
        """Return the served version of ``name``.

        Raises:
            RequestError: there is no such model, or another version is served (NOT_FOUND); it is being loaded (BUSY).
        """
        served = self._served.get(name)
        if served is None:
            raise self._missing(name)
        if version is not None and version != served.version:
            raise RequestError(
                Reason.NOT_FOUND, f"{name}: version {version} is not served; version {served.version} is"
            )
        return served

    def find(self, name: str) -> ServedVersion | None:
        """Return the served version of ``name``, or None."""
        return self._served.get(name)

    def knows(self, name: str) -> bool:
        """Whether ``name`` is a model that is served or should be."""
        return (
            name in self._served or name in self._loading or name in self._refused or name in self._unloaded
        )

    def served(self) -> list[ServedVersion]:
        """Return what is served, by name."""
        return [self._served[name] for name in sorted(self._served)]

    def refused(self) -> dict[str, RejectedVersion]:
        """Return the versions that should be served and are not, by model."""
        return dict(self._refused)

    def loading(self, name: str, version: str) -> None:
        """Say that a version is being loaded."""
        self._loading[name] = version

    def swap(self, served: ServedVersion) -> None:
        """Serve this version from now on. What asked the one before gets its answer from that one."""
        name = served.name
        before = self._served.get(name)
        self._served[name] = served
        self._loading.pop(name, None)
        self._refused.pop(name, None)
        self._unloaded.discard(name)
        if before is not None:
            self._end(before)
            self._retire(before, served)
        self._metrics.served.set(1, *served.labels)
        self._metrics.reloads.add(name, "swapped")

    def refuse(self, name: str, refusal: RejectedVersion) -> None:
        """Note that a version is not served because it is not good; what is served stays."""
        self._loading.pop(name, None)
        if self._refused.get(name) != refusal:
            self._refused[name] = refusal
            self._metrics.reloads.add(name, "refused")

    def forgive(self, name: str) -> None:
        """Forget a refusal: the version is good, or no longer asked for."""
        self._refused.pop(name, None)

    def drop(self, name: str, *, unloaded: bool) -> None:
        """Serve ``name`` no more."""
        self._loading.pop(name, None)
        self._refused.pop(name, None)
        (self._unloaded.add if unloaded else self._unloaded.discard)(name)
        before = self._served.pop(name, None)
        if before is not None:
            self._end(before)

    def index(self) -> list[Entry]:
        """Return every known model: the served version, and one that is being loaded or was refused."""
        entries = [Entry(s.name, s.version, "READY") for s in self._served.values()]
        entries += [Entry(name, version, "LOADING") for name, version in self._loading.items()]
        entries += [Entry(n, r.version, "UNAVAILABLE", r.reason) for n, r in self._refused.items()]
        entries += [Entry(name, "", "UNAVAILABLE", "unloaded") for name in self._unloaded]
        return sorted(entries, key=lambda entry: (entry.name, entry.version))

    def _end(self, before: ServedVersion) -> None:
        """Take the gauges of a version that is served no more."""
        self._metrics.served.values.pop(before.labels, None)
        self._metrics.waiting.values.pop(before.labels, None)

    def _retire(self, before: ServedVersion, now: ServedVersion) -> None:
        """Keep the counters of the last versions of a model, and drop those of older ones."""
        earlier = self._earlier.setdefault(before.name, deque())
        for version in (before.version, now.version):
            if version in earlier:
                earlier.remove(version)
        earlier.append(before.version)
        while len(earlier) > _COUNTED:
            self._metrics.forget(before.name, earlier.popleft())

    def _missing(self, name: str) -> RequestError:
        if name in self._loading:
            return RequestError(Reason.BUSY, f"{name}: is being loaded; try again", retry_after_s=1)
        if name in self._refused:
            refusal = self._refused[name]
            return RequestError(
                Reason.NOT_FOUND, f"{name}: version {refusal.version} was refused: {refusal.reason}"
            )
        if name in self._unloaded:
            return RequestError(Reason.NOT_FOUND, f"{name}: was unloaded")
        known = ", ".join(sorted(self._served)) or "none yet"
        return RequestError(Reason.NOT_FOUND, f"no model {name!r}; served: {known}")
