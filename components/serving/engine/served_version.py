"""One version of a model, loaded and verified: what answers its requests."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from components.bundles.bundle import Bundle, precisions
from components.bundles.signature import Arrays
from components.serving.engine import limits
from components.serving.engine.batching import Job, Queue
from components.serving.engine.thread_pool import ThreadPool
from components.serving.request_error import Reason, RequestError
from components.serving.settings import ModelSettings
from components.serving.telemetry.counters import Metrics


class ServedVersion:
    """A version that answers. It lives as long as a request or the repository holds it.

    Attributes:
        name: the model.
        version: the registry's version number, as text.
        labels: model and version, as metrics are labelled.
        bundle: the bundle: its description, golden examples, and how to bring a picture to its input.
        outputs: the names of what it answers.
        settings: bounds of its queue.
        queue: its requests.
        since: when it was loaded, in seconds since the epoch.
        says_precision: whether its answers say in which precision they are: where the bundle has several.
        promoted_at: when it became champion, in UTC, ISO 8601; empty when that is not known.
    """

    def __init__(
        self,
        name: str,
        version: str,
        bundle: Bundle,
        settings: ModelSettings,
        pool: ThreadPool,
        metrics: Metrics,
    ) -> None:
        """Wrap ``bundle``; call it in the event loop's thread."""
        self.name, self.version, self.bundle, self.settings = name, version, bundle, settings
        self.labels = name, version
        self.since, self.promoted_at = time.time(), ""
        self.says_precision = len(precisions(bundle.description)) > 1
        self.outputs = tuple(tensor.name for tensor in bundle.graph.outputs)
        predict = limits.checked(name, bundle.predict)
        self.queue = Queue(predict, bundle.graph.inputs, bundle.graph.outputs, pool, settings)
        self._metrics = metrics
        self._queued, self._latency = metrics.queued.of(*self.labels), metrics.latency.of(*self.labels)
        self._computed, self._batch = metrics.computed.of(*self.labels), metrics.batch.of(*self.labels)

    async def infer(
        self, inputs: Mapping[str, np.ndarray], timeout_s: float | None = None
    ) -> tuple[Arrays, Job]:
        """Answer one request: arrays by input name in, arrays by output name out, and the job that it was.

        Args:
            inputs: arrays as ``bundle.description["inputs"]`` says.
            timeout_s: seconds to wait for its turn, if fewer than the settings allow.

        Raises:
            RequestError: as :meth:`submit` and :meth:`result` say.
        """
        job = self.submit(inputs, timeout_s)
        await job.wait()
        return self.result(job), job

    def submit(self, inputs: Mapping[str, np.ndarray], timeout_s: float | None = None) -> Job:
        """Put one request into the queue; once it is done, :meth:`result` has its answer.

        Raises:
            RequestError: the inputs do not fit or hold NaN or infinities (INVALID), or the queue is full (BUSY).
        """
        limits.check_inputs(self.bundle, inputs, self.settings)
        return self.queue.submit(inputs, timeout_s)

    def result(self, job: Job) -> Arrays:
        """Return the answer to a job that is done, and count it.

        Raises:
            RequestError: its turn did not come in time (BUSY), the graph failed or answered NaN (FAILED).
        """
        metrics, labels = self._metrics, self.labels
        try:
            outputs = job.result()
        except RequestError as refused:
            if refused.reason is Reason.FAILED:
                metrics.failed.add(*labels)
            raise
        except Exception as error:
            metrics.failed.add(*labels)
            raise limits.failure(self.name, error) from error
        batch = job.batch
        self._queued(batch.started - job.queued)
        self._latency(time.perf_counter() - job.queued)
        if job.leads:  # the batch is counted once, for all that it answered
            self._computed(batch.ended - batch.started, batch.answered)
            self._batch(batch.rows, batch.answered)
            metrics.rows.add(*labels, by=batch.rows)
            metrics.executions.add(*labels, str(batch.rows))
        return outputs
