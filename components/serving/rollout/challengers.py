"""The challengers of a worker: loaded beside the champions, for copied requests or for a share of the real ones."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from components.serving.engine.served_version import ServedVersion
from components.serving.rollout.state import Target
from components.serving.telemetry.counters import Metrics
from data.errors import UserError

Load = Callable[[str, Target], Awaitable[ServedVersion]]

log = logging.getLogger("darkroom.serving")


class Challengers:
    """One loaded challenger of each model that has one. Used in the event loop's thread only."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loaded: dict[str, ServedVersion] = {}
        self._targets: dict[str, Target] = {}

    def get(self, name: str) -> ServedVersion | None:
        """Return the challenger of ``name``, or None."""
        return self._loaded.get(name)

    async def follow(self, wanted: Mapping[str, Target], champions: Mapping[str, Target], load: Load) -> None:
        """Load the challengers that are ``wanted``, and drop the others; what one that lost has counted goes."""
        for name, target in list(self._targets.items()):
            if wanted.get(name) != target:
                del self._targets[name]
                self._loaded.pop(name, None)
                if champions.get(name) != target:
                    self._metrics.forget(name, target.version)
        for name, target in wanted.items():
            if name in self._targets:
                continue
            self._targets[name] = target
            try:
                self._loaded[name] = await load(name, target)
            except UserError as error:
                log.warning("challenger refused", extra={"model": name, "reason": str(error)})
