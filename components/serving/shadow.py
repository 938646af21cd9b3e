"""Gives challengers a share of copied traffic: nobody sees their answers, but how often they agree is counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from components.serving.metrics import Metrics
from components.serving.settings import Settings
from components.serving.state import Target
from components.serving.version import ServedVersion
from components.tasks import Arrays

Load = Callable[[str, Target], Awaitable[ServedVersion]]


class Shadow:
    """The challengers of a worker."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._share, self._metrics = settings.shadow, metrics

    async def follow(self, challengers: dict[str, Target], load: Load) -> None:
        """Load the challengers that are to be tried."""

    def offer(self, served: ServedVersion, inputs: Arrays, outputs: Arrays) -> None:
        """Let the challenger answer this request as well, if it is this one's turn."""
