"""In a worker: chooses answers for the prediction log and sends them to the recorder, behind the response.

Nothing here waits. What the recorder does not take at once is held, up to a bound; beyond that, and while the model
has many requests waiting, answers are dropped and counted. So neither a full disk nor a recorder that is away can fail
a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.bundles.signature import Arrays
from components.serving.engine.served_version import ServedVersion
from components.serving.predictions import record
from components.serving.predictions.record import Reason
from components.serving.rollout.state import FOLDER
from components.serving.settings import LogSettings, Settings
from components.serving.telemetry.counters import Metrics

MOST_HELD = 4 << 20
"""Bytes in a worker that the recorder has not taken yet; an answer with more is never remembered."""
_AGAIN_S = 0.5
_END_S = 2.0


def socket_path(port: int) -> Path:
    """Return where the recorder of the server at ``port`` listens."""
    return FOLDER / f"recorder-{port}.sock"


class PredictionLog:
    """What a worker sends to the recorder."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._policies, self._port, self._metrics = settings.prediction_log, settings.port, metrics
        self._due: dict[str, float] = {}
        self._connection: _Connection | None = None

    def offer(
        self, served: ServedVersion, id: str, inputs: Mapping[str, np.ndarray], outputs: Arrays
    ) -> bool:
        """Remember an answer if it is its turn or it is uncertain, and say whether it is one of these."""
        policy = self._policies.get(served.name)
        if policy is None:
            return False
        reason = self._reason(served.name, policy, outputs)
        if reason is None:
            return False
        self._send_soon(served, id, reason, inputs if policy.keep == "inputs" else {}, outputs)
        return True

    def disagreed(
        self, served: ServedVersion, id: str, inputs: Mapping[str, np.ndarray], outputs: Arrays
    ) -> None:
        """Remember an answer that a challenger disagreed with."""
        policy = self._policies.get(served.name)
        if policy is not None and policy.disagreement:
            self._send_soon(served, id, "disagreement", inputs if policy.keep == "inputs" else {}, outputs)

    async def run(self) -> None:
        """Keep a connection to the recorder, until cancelled."""
        loop = asyncio.get_running_loop()
        while self._policies:
            try:
                _, connection = await loop.create_unix_connection(_Connection, str(socket_path(self._port)))
            except OSError:
                await asyncio.sleep(_AGAIN_S)  # it is starting
                continue
            self._connection = connection
            await connection.lost

    async def end(self) -> None:
        """Send what is held, for a moment, and end the connection."""
        if self._connection is not None:
            self._connection.transport.close()
            await asyncio.wait([self._connection.lost], timeout=_END_S)

    def _reason(self, name: str, policy: LogSettings, outputs: Arrays) -> Reason | None:
        due = self._due.get(name, 0.0) + policy.share
        self._due[name] = due % 1.0
        if due >= 1:
            return "share"
        if policy.below is not None:
            _, sure = record.likeliest(outputs)
            if sure is not None and sure < policy.below:
                return "low_confidence"
        return None

    def _send_soon(
        self,
        served: ServedVersion,
        id: str,
        reason: Reason,
        inputs: Mapping[str, np.ndarray],
        outputs: Arrays,
    ) -> None:
        """Send in the next turn of the loop: the response goes first."""
        if served.queue.waiting > served.settings.max_queue // 2:
            self._count(served, "dropped: many requests wait")
            return
        asyncio.get_running_loop().call_soon(self._send, served, id, reason, inputs, outputs)

    def _send(
        self,
        served: ServedVersion,
        id: str,
        reason: Reason,
        inputs: Mapping[str, np.ndarray],
        outputs: Arrays,
    ) -> None:
        connection = self._connection
        if connection is None or connection.transport.is_closing():
            return self._count(served, "dropped: no recorder")
        size = sum([values.nbytes for values in (*inputs.values(), *outputs.values())])
        if size > MOST_HELD:
            return self._count(served, "dropped: too large")
        if connection.transport.get_write_buffer_size() + size > MOST_HELD:
            return self._count(served, "dropped: the recorder is behind")
        connection.transport.write(record.encode(served, id, reason, inputs, outputs))
        self._count(served, "sent")

    def _count(self, served: ServedVersion, outcome: str) -> None:
        self._metrics.predictions.add(served.name, outcome)


class _Connection(asyncio.Protocol):
    """A connection to the recorder, which says nothing.

    Attributes:
        transport: what is written to.
        lost: done when it has ended.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.done() or self.lost.set_result(None)
