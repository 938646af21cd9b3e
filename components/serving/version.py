"""One version of a model, loaded and verified: what answers its requests."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from components.bundle import Bundle
from components.serving import limits
from components.serving.batching import Queue
from components.serving.computing import Computing
from components.serving.messages import Refused
from components.serving.metrics import Metrics
from components.serving.settings import ModelSettings
from components.tasks import Arrays


class ServedVersion:
    """A version that answers. It lives as long as a request or the repository holds it.

    Attributes:
        name: the model.
        version: the registry's version number, as text.
        bundle: the bundle: its description, golden examples, and how to bring a picture to its input.
        settings: bounds of its queue.
        queue: its requests.
        since: when it was loaded, in seconds since the epoch.
        promoted_at: when it became champion, in UTC, ISO 8601; empty when that is not known.
    """

    def __init__(
        self,
        name: str,
        version: str,
        bundle: Bundle,
        settings: ModelSettings,
        computing: Computing,
        metrics: Metrics,
    ) -> None:
        """Wrap ``bundle``; call it in the event loop's thread."""
        self.name, self.version, self.bundle, self.settings = name, version, bundle, settings
        self.since, self.promoted_at = time.time(), ""
        predict = limits.checked(name, bundle.predict)
        self.queue = Queue(predict, bundle.graph.inputs, bundle.graph.outputs, computing, settings)
        self._metrics = metrics

    @property
    def labels(self) -> tuple[str, str]:
        """Model and version, as metrics are labelled."""
        return self.name, self.version

    async def infer(self, inputs: Mapping[str, np.ndarray], patience_s: float | None = None) -> Arrays:
        """Answer one request: arrays by input name in, arrays by output name out.

        Args:
            inputs: arrays as ``bundle.description["inputs"]`` says.
            patience_s: seconds to wait for its turn, if fewer than the settings allow.

        Raises:
            Refused: the inputs do not fit or hold NaN or infinities (400), the queue is full or the request's
                turn did not come in time (503), the graph failed or answered NaN (500).
        """
        came = time.perf_counter()
        limits.check_inputs(self.bundle, inputs, self.settings)
        try:
            outputs, job = await self.queue.infer(inputs, patience_s)
        except Refused as refused:
            if refused.status == 500:
                self._metrics.failed.add(*self.labels)
            raise
        except Exception as error:
            self._metrics.failed.add(*self.labels)
            raise limits.failure(self.name, error) from error
        metrics, labels = self._metrics, self.labels
        metrics.queued.observe(job.started - job.queued, *labels)
        metrics.computed.observe(job.ended - job.started, *labels)
        metrics.batch.observe(job.batch, *labels)
        metrics.rows.add(*labels, by=job.rows)
        if job.leads:
            metrics.executions.add(*labels, str(job.batch))
        metrics.latency.observe(time.perf_counter() - came, *labels)
        return outputs
