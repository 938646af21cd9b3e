"""The queue of one served version: dispatches at once when idle, gathers only while the model is busy.

No request ever waits for company. The first ones start at once, as many as there are computing threads; those
that arrive meanwhile are computed together when a thread becomes free. An idle server thus answers as fast as
without batching, and a busy one grows its batches with its load, without a delay to tune.

A quick batch is computed where it is, in the event loop: what arrived in the same turn of the loop is its batch. How
long a batch will take is known from the last ones.

Requests are batched when every input and output has its rows along a free first dimension, and only with
others of the same further shape. A generator's seed and count are no rows: each of its requests is computed
alone.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from components.bundles.signature import Arrays, Predict, Tensor
from components.serving.engine.thread_pool import ThreadPool
from components.serving.request_error import Reason, RequestError
from components.serving.settings import ModelSettings

HANDOVER_S = 100e-6
"""A batch that is expected to take no longer is computed in the event loop: handing it to a thread takes as long."""
REQUEST_S = 25e-6
"""So is one that takes no longer than this for each of its requests, which is what reading and answering them takes."""
QUICK_S = 500e-6
"""And in no case one that takes longer: it would keep others waiting."""

_REMEMBERED = 8

log = logging.getLogger("darkroom.serving")


class Job:
    """One request in the queue. Whoever waits for it is called as soon as it is done, within the same turn of the loop.

    Its methods are called in the event loop's thread.

    Attributes:
        inputs: its arrays.
        rows: how many rows of a batch it takes.
        key: only jobs of equal keys are computed together.
        queued: when it came, by :func:`time.perf_counter`.
        deadline: when it is too late to start.
        over: whether it is done, or nobody waits for it any more.
        batch: what it was computed with.
        leads: whether it is the first of its batch that was answered, for counting batches.
    """

    __slots__ = ("_answer", "_waits", "batch", "deadline", "inputs", "key", "leads", "over", "queued", "rows")

    def __init__(self, inputs: Mapping[str, np.ndarray], rows: int, key: tuple, timeout_s: float) -> None:
        self.inputs, self.rows, self.key = inputs, rows, key
        self.queued = time.perf_counter()
        self.deadline = self.queued + timeout_s
        self.over = self.leads = False
        self.batch: Batch | None = None
        self._answer: Arrays | Exception | None = None
        self._waits: Callable[[Job], None] | None = None

    def add_done_callback(self, waits: Callable[[Job], None]) -> None:
        """Call ``waits`` with this job once it is done; not where it is cancelled. One can wait."""
        self._waits = waits

    def cancel(self) -> None:
        """Let it go: what nobody waits for need not be computed."""
        self.over, self._waits = True, None

    def done(self, answer: Arrays | Exception) -> None:
        """End it with an answer, or with why there is none."""
        self.over, self._answer = True, answer
        waits, self._waits = self._waits, None
        if waits is not None:
            try:
                waits(self)
            except Exception:
                log.exception("an answer could not be given")  # the others of its batch have theirs

    def result(self) -> Arrays:
        """Return the answer of a job that is done, or raise why there is none."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def wait(self) -> None:
        """Wait until it is done; it is cancelled with whoever waits here."""
        done = asyncio.get_running_loop().create_future()
        self.add_done_callback(lambda job: done.cancelled() or done.set_result(None))
        try:
            await done
        except asyncio.CancelledError:
            self.cancel()
            raise


class Batch:
    """Jobs that were computed together.

    Attributes:
        jobs: the jobs.
        answers: of each its arrays, or why there are none.
        rows: of all of them.
        started: when the computation began.
        ended: when it ended.
        answered: how many jobs were still waited for, and answered.
    """

    __slots__ = ("answered", "answers", "ended", "jobs", "rows", "started")

    def __init__(self, jobs: list[Job], answers: Sequence[Arrays | Exception], started: float) -> None:
        self.jobs, self.answers, self.answered = jobs, answers, 0
        self.rows = sum([job.rows for job in jobs])
        self.started, self.ended = started, time.perf_counter()

    @property
    def took(self) -> float:
        """Seconds of the computation, more than 0."""
        return max(self.ended - self.started, 1e-9)

    def deliver(self) -> None:
        """Hand the answers to those who wait, in the event loop's thread."""
        waited = [pair for pair in zip(self.jobs, self.answers, strict=True) if not pair[0].over]
        answered = [job for job, answer in waited if not isinstance(answer, Exception)]
        self.answered = len(answered)
        if answered:
            answered[0].leads = True
        for job, answer in waited:
            job.batch = self
            job.done(answer)
        # A job knows its batch: as a circle they would wait for the garbage collector.
        self.jobs, self.answers = [], []


class Queue:
    """The requests that wait for one version, and those that are being computed.

    Its methods are called in the event loop's thread; batches are computed in those of ``pool``.
    """

    def __init__(
        self,
        predict: Predict,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        pool: ThreadPool,
        settings: ModelSettings,
    ) -> None:
        """Make an empty queue.

        Args:
            predict: computes a batch.
            inputs: the graph's inputs.
            outputs: the graph's outputs.
            pool: the threads.
            settings: the bounds.
        """
        self.settings = settings
        self.stacks = all(tensor.shape[:1] == (-1,) for tensor in (*inputs, *outputs)) and bool(inputs)
        self._predict, self._pool = predict, pool
        self._names = [tensor.name for tensor in inputs]
        self._waiting: deque[Job] = deque()
        self._lock = threading.Lock()
        self._running = 0
        self._due = False  # whether this turn of the loop ends with a dispatch
        self._took: deque[tuple[int, float]] = deque(
            maxlen=_REMEMBERED
        )  # rows and seconds of the last batches
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
        self, inputs: Mapping[str, np.ndarray], timeout_s: float | None = None
    ) -> tuple[Arrays, Job]:
        """Answer one request, as :meth:`submit` does, and wait for it."""
        job = self.submit(inputs, timeout_s)
        await job.wait()
        return job.result(), job

    def submit(self, inputs: Mapping[str, np.ndarray], timeout_s: float | None = None) -> Job:
        """Answer one request, together with others where that saves time.

        Args:
            inputs: arrays by name; whoever calls has checked them.
            timeout_s: seconds to wait for its turn, if fewer than the settings allow.

        Returns:
            The job. Its result is the graph's answer, or raises what the graph raised, or :class:`RequestError` where
            its turn did not come in time (BUSY).

        Raises:
            RequestError: too many wait (BUSY).
        """
        job = self._job(inputs, timeout_s)
        with self._lock:
            if len(self._waiting) >= self.settings.max_queue:
                raise busy(f"{len(self._waiting)} requests wait already", self.settings)
            self._waiting.append(job)
        if not self._due and self._running < self._pool.threads:
            self._due = True
            self._loop.call_soon(self._dispatch)
        return job

    def expire(self) -> None:
        """Refuse what waits for longer than it may, also while a long computation holds the threads."""
        if not self._waiting:
            return
        now = time.perf_counter()
        with self._lock:
            late = [job for job in self._waiting if now > job.deadline]
            for job in late:
                self._waiting.remove(job)
        refused = busy("its turn did not come in time", self.settings)
        Batch(late, [refused] * len(late), now).deliver()

    def _job(self, inputs: Mapping[str, np.ndarray], timeout_s: float | None) -> Job:
        timeout = self.settings.max_wait_ms / 1e3
        if timeout_s is not None:
            timeout = min(timeout, timeout_s)
        rows, key = 1, ()
        if self.stacks:
            rows = len(inputs[self._names[0]])
            key = tuple([inputs[name].shape[1:] for name in self._names])
        return Job(inputs, rows, key, timeout)

    def _dispatch(self) -> None:
        """Compute what has arrived in this turn of the loop: here if that is quick, or else in free threads."""
        self._due = False
        if self._running == 0 and self._is_quick():
            _deliver(self._next())
            if self._waiting:
                self._due = True
                self._loop.call_soon(self._dispatch)
            return
        with self._lock:
            starting = min(self._pool.threads - self._running, len(self._waiting))
            self._running += starting
        for _ in range(starting):
            self._pool.put(self._run)

    def _is_quick(self) -> bool:
        """Whether the next batch is better computed in the event loop.

        It will take as long as the quickest of the last ones did for each row: waiting for Python's lock makes some
        seem slow. What has no rows may take any time.
        """
        if not self.stacks:
            return False
        rows = min(sum([job.rows for job in self._waiting]), self.settings.max_batch)
        worth = min(max(HANDOVER_S, REQUEST_S * len(self._waiting)), QUICK_S)
        return any(took * max(1.0, rows / of) <= worth for of, took in self._took)

    def _run(self) -> None:
        """Compute one batch, in a computing thread; get in line again when more wait."""
        batches = self._next()
        with self._lock:
            more = bool(self._waiting)
            self._running -= not more
        if more:
            self._pool.put(self._run)
        if batches:
            self._loop.call_soon_threadsafe(_deliver, batches)

    def _next(self) -> list[Batch]:
        """Compute what is due; the jobs whose turn came too late are a batch that is refused."""
        jobs, late = self._take()
        batches = self._compute(jobs) if jobs else []
        if late:
            refused = busy("its turn did not come in time", self.settings)
            batches.append(Batch(late, [refused] * len(late), time.perf_counter()))
        return batches

    def _take(self) -> tuple[list[Job], list[Job]]:
        """Return the next batch, and the jobs that are too late or that nobody waits for."""
        batch: list[Job] = []
        late: list[Job] = []
        now, rows = time.perf_counter(), 0
        with self._lock:
            while self._waiting:
                job = self._waiting[0]
                if job.over or now > job.deadline:
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

    def _compute(self, jobs: list[Job]) -> list[Batch]:
        started = time.perf_counter()
        try:
            return [Batch(jobs, self._together(jobs), started)]
        except Exception as error:
            if len(jobs) > 1:  # one request's values may fail the graph: the others are not to suffer for it
                return [batch for job in jobs for batch in self._compute([job])]
            return [Batch(jobs, [error], started)]

    def _together(self, jobs: list[Job]) -> list[Arrays]:
        if len(jobs) == 1:
            return [self._timed(jobs[0].inputs, jobs[0].rows)]
        ends = list(itertools.accumulate([job.rows for job in jobs]))
        stacked = {name: np.concatenate([job.inputs[name] for job in jobs]) for name in self._names}
        outputs = self._timed(stacked, ends[-1])
        if any(len(values) != ends[-1] for values in outputs.values()):
            raise RuntimeError("the graph gave another number of rows than it got")
        return [
            {name: values[end - job.rows : end] for name, values in outputs.items()}
            for job, end in zip(jobs, ends, strict=True)
        ]

    def _timed(self, inputs: Mapping[str, np.ndarray], rows: int) -> Arrays:
        started = time.perf_counter()
        outputs = self._predict(inputs)
        self._took.append((rows, time.perf_counter() - started))
        return outputs


def busy(why: str, settings: ModelSettings) -> RequestError:
    """Return the refusal of a request that cannot be taken now: 503, to be tried again."""
    seconds = max(1, round(settings.max_wait_ms / 1e3))
    return RequestError(Reason.BUSY, f"busy: {why}; try again", retry_after_s=seconds)


def _deliver(batches: list[Batch]) -> None:
    for batch in batches:
        batch.deliver()
