"""Everything that routes need, put together once for each worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from components.bundles.signature import Arrays
from components.serving.engine.batching import Job
from components.serving.engine.served_version import ServedVersion
from components.serving.engine.thread_pool import ThreadPool
from components.serving.http.body import Budget
from components.serving.http.tokens import Tokens
from components.serving.predictions.log import PredictionLog
from components.serving.rollout.canary import Canaries
from components.serving.rollout.challengers import Challengers
from components.serving.rollout.reconciler import Reconciler
from components.serving.rollout.repository import Repository
from components.serving.rollout.shadow import Shadow
from components.serving.settings import Settings
from components.serving.telemetry.counters import Metrics
from components.serving.telemetry.shared import CANARY_S, EVERY_S, SharedCounters

P = ParamSpec("P")
T = TypeVar("T")

_ASIDE = 2

log = logging.getLogger("darkroom.serving")


class Service:
    """The parts of a worker.

    Attributes:
        settings: what the server was told.
        budget: what holds large requests, of HTTP and gRPC together.
        metrics: what is counted.
        repository: which versions answer.
        reconciler: keeps the repository as the registry has it.
        shadow: copies requests to challengers.
        predictions: remembers a part of the answers.
        canaries: lets challengers on trial answer a share of requests.
        tokens: who may ask; None where everybody on this machine may.
        draining: whether the worker is about to end.
    """

    def __init__(self, settings: Settings, number: int = 0) -> None:
        """Put the parts of worker ``number`` together; call it in the event loop's thread."""
        self.settings = settings
        self.budget = Budget(settings.max_held)
        self.metrics = Metrics()
        self.repository = Repository(self.metrics)
        self.tokens = Tokens(settings.tokens) if settings.tokens else None
        self.pool = ThreadPool(settings.at_once)
        challengers = Challengers(self.metrics)
        self.predictions = PredictionLog(settings, self.metrics)
        self.shadow = Shadow(settings, challengers, self.metrics, self.predictions)
        self.canaries = Canaries(settings.canaries, self.repository, challengers, self.metrics)
        self.reconciler = Reconciler(
            settings, self.repository, challengers, self.canaries, self.pool, self.metrics
        )
        self.draining = False
        self._sharing = SharedCounters(settings.port, number)
        self._aside = ThreadPoolExecutor(_ASIDE, thread_name_prefix="aside")
        self._sharer = ThreadPoolExecutor(
            1, thread_name_prefix="sharing"
        )  # waits for no picture to be decoded

    @property
    def ready(self) -> bool:
        """Whether every model that should be served is, by this or an earlier version."""
        return self.reconciler.settled and not self.draining

    def total(self) -> Metrics:
        """Return what all workers counted."""
        if self.settings.workers == 1 and not self.settings.prediction_log:
            return self.metrics
        return self._sharing.total(self.metrics.to_json())

    def answered(self, served: ServedVersion, id: str, job: Job, outputs: Arrays) -> None:
        """Do what follows an answer of a champion, once it is on its way: remember it, and ask a challenger."""
        remembered = self.predictions.offer(served, id, job.inputs, outputs)
        self.shadow.offer(served, job, outputs, "" if remembered else id)

    async def share(self) -> None:
        """Write this worker's counters and refusals for the others every second, until cancelled.

        While a challenger answers requests it is more often, and what all workers counted says how it goes on.
        """
        run = asyncio.get_running_loop().run_in_executor
        while self.settings.workers > 1 or not self.settings.bundles:
            try:
                values = self.metrics.to_json()
                await run(self._sharer, self._sharing.write, values, self.reconciler.refused)
                if self.canaries.active:
                    self.canaries.look(await run(self._sharer, self._sharing.total, values))
            except Exception:
                self.canaries.pause()  # what nobody watches answers nobody
                log.exception("counters cannot be shared")
            await asyncio.sleep(CANARY_S if self.canaries.active else EVERY_S)

    async def aside(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run what blocks or computes for long, such as decoding an image, off the event loop."""
        work = (lambda: function(*arguments, **named)) if named else function
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._aside, work, *(() if named else arguments))
