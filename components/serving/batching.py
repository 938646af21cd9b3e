"""The queue of one served version: dispatches at once when idle, gathers only while the model is busy.

No request ever waits for company. The first ones start at once, as many as there are computing threads; those
that arrive meanwhile are computed together when a thread becomes free. An idle server thus answers as fast as
without batching, and a busy one grows its batches with its load, without a delay to tune.

Requests are batched when every input and output has its rows along a free first dimension, and only with
others of the same further shape. A generator's seed and count are no rows: each of its requests is computed
alone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from components.serving.computing import Computing
from components.serving.messages import Refused
from components.serving.settings import ModelSettings
from components.tasks import Arrays, Predict, Tensor


class Job:
    """One request in the queue, and how long each part of it took.

    Attributes:
        inputs: its arrays.
        rows: how many rows of a batch it takes.
        key: only jobs of equal keys are computed together.
        answer: what waits for it.
        queued: when it came, by :func:`time.perf_counter`.
        deadline: when it is too late to start.
        started: when its computation began.
        ended: when its computation ended.
        batch: rows that were computed together with it, its own among them.
        leads: whether it is the first of its batch, for counting batches.
    """

    __slots__ = (
        "answer",
        "batch",
        "deadline",
        "ended",
        "inputs",
        "key",
        "leads",
        "queued",
        "rows",
        "started",
    )

    def __init__(
        self,
        inputs: Mapping[str, np.ndarray],
        rows: int,
        key: tuple,
        answer: asyncio.Future[Arrays],
        patience_s: float,
    ) -> None:
        self.inputs, self.rows, self.key, self.answer = inputs, rows, key, answer
        self.queued = self.started = self.ended = time.perf_counter()
        self.deadline = self.queued + patience_s
        self.batch, self.leads = rows, False


class Queue:
    """The requests that wait for one version, and those that are being computed.

    Its methods are called in the event loop's thread; batches are computed in those of ``computing``.
    """

    def __init__(
        self,
        predict: Predict,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        computing: Computing,
        settings: ModelSettings,
    ) -> None:
        """Make an empty queue.

        Args:
            predict: computes a batch.
            inputs: the graph's inputs.
            outputs: the graph's outputs.
            computing: the threads.
            settings: the bounds.
        """
        self.settings = settings
        self.stacks = all(tensor.shape[:1] == (-1,) for tensor in (*inputs, *outputs)) and bool(inputs)
        self._predict, self._computing = predict, computing
        self._names = [tensor.name for tensor in inputs]
        self._waiting: deque[Job] = deque()
        self._lock = threading.Lock()
        self._running = 0
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Batches that are in line or being computed."""
        return self._running

    async def infer(
        self, inputs: Mapping[str, np.ndarray], patience_s: float | None = None
    ) -> tuple[Arrays, Job]:
        """Answer one request, together with others where that saves time.

        Args:
            inputs: arrays by name; whoever calls has checked them.
            patience_s: seconds to wait for its turn, if fewer than the settings allow.

        Raises:
            Refused: too many wait (503), or its turn did not come in time (503).
        """
        job = self._job(inputs, patience_s)
        with self._lock:
            if len(self._waiting) >= self.settings.max_queue:
                raise busy(f"{len(self._waiting)} requests wait already", self.settings)
            self._waiting.append(job)
            start = self._running < self._computing.threads
            self._running += start
        if start:
            self._computing.put(self._run)
        return await job.answer, job

    def expire(self) -> None:
        """Refuse what waits for longer than it may, also while a long computation holds the threads."""
        if not self._waiting:
            return
        now = time.perf_counter()
        with self._lock:
            late = [job for job in self._waiting if now > job.deadline]
            for job in late:
                self._waiting.remove(job)
        _deliver([(job, busy("its turn did not come in time", self.settings)) for job in late])

    def _job(self, inputs: Mapping[str, np.ndarray], patience_s: float | None) -> Job:
        patience = self.settings.max_wait_ms / 1e3
        if patience_s is not None:
            patience = min(patience, patience_s)
        rows, key = 1, ()
        if self.stacks:
            rows = len(inputs[self._names[0]])
            key = tuple(inputs[name].shape[1:] for name in self._names)
        return Job(inputs, rows, key, self._loop.create_future(), patience)

    def _run(self) -> None:
        """Compute one batch, in a computing thread; get in line again when more wait."""
        batch, late = self._take()
        results = self._compute(batch) if batch else []
        with self._lock:
            more = bool(self._waiting)
            self._running -= not more
        if more:
            self._computing.put(self._run)
        for job in late:
            results.append((job, busy("its turn did not come in time", self.settings)))
        if results:
            self._loop.call_soon_threadsafe(partial(_deliver, results))

    def _take(self) -> tuple[list[Job], list[Job]]:
        """Return the next batch, and the jobs that are too late or that nobody waits for."""
        batch: list[Job] = []
        late: list[Job] = []
        now, rows = time.perf_counter(), 0
        with self._lock:
            while self._waiting:
                job = self._waiting[0]
                if job.answer.done() or now > job.deadline:
                    late.append(self._waiting.popleft())
                    continue
                if batch and not self._joins(job, batch[0], rows):
                    break
                rows += job.rows
                batch.append(self._waiting.popleft())
        return batch, late

    def _joins(self, job: Job, first: Job, rows: int) -> bool:
        together = self.stacks and self.settings.batching
        return together and job.key == first.key and rows + job.rows <= self.settings.max_batch

    def _compute(self, batch: list[Job]) -> list[tuple[Job, Arrays | Exception]]:
        started = time.perf_counter()
        try:
            answers = self._together(batch)
        except Exception as error:
            if len(batch) > 1:  # one request's values may fail the graph: the others are not to suffer for it
                return [result for job in batch for result in self._compute([job])]
            answers = [error]
        ended, rows = time.perf_counter(), sum(job.rows for job in batch)
        batch[0].leads = True
        for job in batch:
            job.started, job.ended, job.batch = started, ended, rows
        return list(zip(batch, answers, strict=True))

    def _together(self, batch: list[Job]) -> list[Arrays | Exception]:
        if len(batch) == 1:
            return [self._predict(batch[0].inputs)]
        stacked = {name: np.concatenate([job.inputs[name] for job in batch]) for name in self._names}
        outputs = self._predict(stacked)
        rows = sum(job.rows for job in batch)
        if any(len(values) != rows for values in outputs.values()):
            raise RuntimeError("the graph gave another number of rows than it got")
        answers, start = [], 0
        for job in batch:
            answers.append({name: values[start : start + job.rows] for name, values in outputs.items()})
            start += job.rows
        return answers


def busy(why: str, settings: ModelSettings) -> Refused:
    """Return the refusal of a request that cannot be taken now: 503, to be tried again."""
    seconds = max(1, round(settings.max_wait_ms / 1e3))
    return Refused(503, f"busy: {why}; try again", [(b"retry-after", str(seconds).encode())])


def _deliver(results: list[tuple[Job, Arrays | Exception]]) -> None:
    """Hand answers to those who wait, in the event loop's thread."""
    for job, answer in results:
        if job.answer.done():
            continue
        if isinstance(answer, Exception):
            job.answer.set_exception(answer)
        else:
            job.answer.set_result(answer)
