"""Gives challengers a share of copied traffic: nobody sees their answers, but how often they agree is counted.

The champion's answer goes out first. A copy is computed only when few are waiting, so that a slow challenger
is asked less and keeps nobody waiting in its queue; it does take its share of the computing threads.
"""

from __future__ import annotations

import asyncio
import logging

import numpy as np

from components.bundles.signature import Arrays
from components.serving.engine.batching import Job
from components.serving.engine.served_version import ServedVersion
from components.serving.predictions.log import PredictionLog
from components.serving.rollout.challengers import Challengers
from components.serving.settings import Settings
from components.serving.telemetry.counters import Metrics

MOST_WAITING = 4
"""Copies of one model that may wait; further ones are left out and counted as ``skipped``."""

log = logging.getLogger("darkroom.serving")


class Shadow:
    """Copies of requests to the challengers of a worker."""

    def __init__(
        self, settings: Settings, challengers: Challengers, metrics: Metrics, predictions: PredictionLog
    ) -> None:
        self._share, self._challengers, self._metrics = settings.shadow, challengers, metrics
        self._predictions = predictions
        self._due: dict[str, float] = {}
        self._tasks: set[asyncio.Task] = set()

    def offer(self, served: ServedVersion, job: Job, outputs: Arrays, id: str) -> None:
        """Let the challenger answer as well what ``served`` answered to ``job``, if it is this one's turn.

        Where it disagrees, the prediction log has the request by its ``id``; empty where it has it already.
        """
        challenger = self._challengers.get(served.name) if self._share else None
        if challenger is None:
            return
        due = self._due.get(served.name, 0.0) + self._share
        self._due[served.name] = due % 1.0
        if due < 1:
            return
        if challenger.queue.waiting >= MOST_WAITING:
            self._count(served, challenger, "skipped")
            return
        task = asyncio.create_task(self._try(served, challenger, job, outputs, id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(
        self, served: ServedVersion, challenger: ServedVersion, theirs: Job, outputs: Arrays, id: str
    ) -> None:
        try:
            answer, ours = await challenger.queue.infer(theirs.inputs)
        except Exception as error:  # whatever a graph can raise: nobody but the counter is to know
            log.warning("challenger failed", extra={"model": served.name, "reason": str(error)})
            self._count(served, challenger, "failed")
            return
        agreed = agree(outputs, answer)
        self._count(served, challenger, "agreed" if agreed else "disagreed")
        if id and not agreed:
            self._predictions.disagreed(served, id, theirs.inputs, outputs)
        self._metrics.shadow_computed.observe(ours.batch.took, served.name, challenger.bundle.sha256)
        if ours.batch.rows == theirs.batch.rows:
            pair = served.name, served.bundle.sha256, challenger.bundle.sha256
            self._metrics.shadow_ratio.observe(ours.batch.took / theirs.batch.took, *pair)

    def _count(self, served: ServedVersion, challenger: ServedVersion, outcome: str) -> None:
        self._metrics.shadow.add(served.name, served.bundle.sha256, challenger.bundle.sha256, outcome)


def agree(answer: Arrays, other: Arrays) -> bool:
    """Whether two versions said the same to one request, as far as whoever asked would act on it.

    Where there are probabilities it is the most likely class of each row. A text is to be the same, images are to
    differ by a grey level in the mean of each, numbers by a hundredth.
    """
    if "probabilities" in answer and "probabilities" in other:
        return bool(np.array_equal(*(of["probabilities"].argmax(axis=-1) for of in (answer, other))))
    if answer.keys() != other.keys():
        return False
    if "text" in answer:
        return bool(np.array_equal(answer["text"], other["text"]))
    return all(_same(answer[name], other[name]) for name in answer)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype == np.uint8:
        difference = np.abs(one.astype(np.int16) - other.astype(np.int16))
        return bool((difference.reshape(len(one), -1).mean(axis=1) <= 1).all())
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=1e-2, atol=1e-2))
    return bool(np.array_equal(one, other))
