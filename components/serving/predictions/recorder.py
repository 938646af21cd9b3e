"""The recorder: takes answers from all workers of a server and writes them, behind everything else.

    python -m components.serving.predictions.recorder SETTINGS

It holds a bounded number of bytes: while the disk is slow, it stops reading, and workers drop what they cannot send.
What cannot be written, as on a full disk, is dropped and counted. Told to end, it takes what workers still send, and
ends when they have.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import logging
import math
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.serving.predictions import forgetting, record
from components.serving.predictions.log import socket_path
from components.serving.predictions.record import Record
from components.serving.predictions.store import Store
from components.serving.settings import Settings
from components.serving.telemetry import logs
from components.serving.telemetry.counters import Metrics
from components.serving.telemetry.shared import SharedCounters
from data.errors import first_line

FLUSH_S = 60.0
"""Seconds after which a row is on the disk."""
FLUSH_BYTES = 2 << 20
"""Bytes of a model's rows that are written at once: as values in Python they take many times as much."""
MOST_HELD = 16 << 20
"""Bytes of rows in memory; beyond them nothing is read from workers."""
FORGOTTEN_S = 60.0
"""Seconds for which a request that is to be forgotten is looked for: a worker may still hold it."""
_TICK_S = 0.5
_LOOK_S = 0.05
_NICENESS = 10
_NUMBER = "recorder"

Run = Callable[..., Awaitable[None]]
"""Runs a function with its arguments in the one thread that writes."""

log = logging.getLogger("darkroom.serving")


class Recorder:
    """The rows that are not written yet, and the files of each model."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics()
        self._sharing = SharedCounters(settings.port, _NUMBER)
        self._stores = {
            name: Store(name, policy.max_mb * (1 << 20), policy.days)
            for name, policy in settings.prediction_log.items()
        }
        self._rows: defaultdict[str, list[Record]] = defaultdict(list)
        self._since: dict[str, float] = {}
        self._held = 0
        self._forgotten: dict[Path, tuple[str, str, float]] = {}
        self._connections: set[_Worker] = set()
        self._error = ""

    @property
    def is_idle(self) -> bool:
        """Whether no worker is connected."""
        return not self._connections

    def connect(self) -> _Worker:
        """Return what reads from a worker that connects."""
        return _Worker(self)

    def joined(self, worker: _Worker) -> None:
        """Take rows of ``worker`` from now on."""
        self._connections.add(worker)

    def left(self, worker: _Worker) -> None:
        """Take none any more."""
        self._connections.discard(worker)

    def take(self, taken: Record) -> None:
        """Hold a row, unless its request is to be forgotten."""
        if any((taken.model, taken.id) == (model, id) for model, id, _ in self._forgotten.values()):
            return
        self._since.setdefault(taken.model, time.monotonic())
        self._rows[taken.model].append(taken)
        self._held += taken.size
        if self._held > MOST_HELD:
            for worker in self._connections:
                worker.transport.pause_reading()

    async def run(self, ending: asyncio.Event) -> None:
        """Write what is due until ``ending``, and then what workers still send."""
        looked = -math.inf
        run = functools.partial(asyncio.get_running_loop().run_in_executor, ThreadPoolExecutor(1))
        while not (ending.is_set() and self.is_idle):
            # Under a load that never ends there is always something to write: the others have their turn all the same.
            if time.monotonic() > looked + _TICK_S:
                await self._forget(run)
                await run(self._share)
                looked = time.monotonic()
            due = [name for name in self._rows if self._is_due(name)]
            for name in due:
                await self._flush(run, name)
            if not due:
                await asyncio.sleep(_LOOK_S)
        for name in list(self._rows):
            while name in self._rows:
                await self._flush(run, name)

    async def _flush(self, run: Run, name: str) -> None:
        """Write the first rows of a model, and read on."""
        rows = self._rows.pop(name)
        sizes = itertools.accumulate(taken.size for taken in rows)
        number = 1 + sum(1 for size in sizes if size < FLUSH_BYTES)
        self._since.pop(name, None)
        if rest := rows[number:]:
            self._rows[name], self._since[name] = rest, time.monotonic()
        await run(self._write, name, rows[:number])
        self._held -= sum(taken.size for taken in rows[:number])
        for worker in self._connections:
            if self._held <= MOST_HELD and not worker.transport.is_reading():
                worker.transport.resume_reading()

    def _is_due(self, name: str) -> bool:
        rows = self._rows.get(name, ())
        is_old = time.monotonic() - self._since.get(name, math.inf) > FLUSH_S
        return is_old or sum(taken.size for taken in rows) > FLUSH_BYTES

    def _write(self, name: str, rows: list[Record]) -> None:
        try:
            self._stores[name].write([taken.row() for taken in rows])
            self._count(name, "written", len(rows))
            self._error = ""
        except Exception as error:  # of the disk, or of Arrow
            self._count(name, "lost: the disk failed", len(rows))
            if first_line(error) != self._error:
                self._error = first_line(error)
                log.error("predictions cannot be written", extra={"model": name, "reason": self._error[:300]})

    async def _forget(self, run: Run) -> None:
        """Remove the requests that are to be forgotten, from memory and disk, and their notes a while later."""
        now = time.monotonic()
        for name, held in self._stores.items():
            new = {note: id for note, id in forgetting.notes(name).items() if note not in self._forgotten}
            if not new:
                continue
            self._forgotten |= {note: (name, id, now) for note, id in new.items()}
            rows = self._rows.pop(name, [])
            kept = [taken for taken in rows if taken.id not in new.values()]
            self._held -= sum(taken.size for taken in rows) - sum(taken.size for taken in kept)
            if kept:
                self._rows[name] = kept
            else:
                self._since.pop(name, None)
            try:
                await run(held.forget, set(new.values()))
            except OSError as error:
                self._forgotten = {n: told for n, told in self._forgotten.items() if n not in new}
                log.error("predictions cannot be forgotten", extra={"model": name, "reason": str(error)})
        for note, (_, _, since) in list(self._forgotten.items()):
            if now - since > FORGOTTEN_S:
                note.unlink(missing_ok=True)
                del self._forgotten[note]

    def _share(self) -> None:
        """Write the counters, for workers to show."""
        for name, held in self._stores.items():
            self.metrics.predictions_bytes.set(held.size, name)
        with contextlib.suppress(OSError):  # of a full disk: the next ones say it
            self._sharing.write(self.metrics.to_json(), {})

    def _count(self, name: str, outcome: str, number: int) -> None:
        self.metrics.predictions.add(name, outcome, by=number)


class _Worker(asyncio.Protocol):
    """A connection from a worker."""

    transport: asyncio.Transport

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._content = recorder, bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._recorder.joined(self)

    def data_received(self, data: bytes) -> None:
        self._content += data
        for taken in record.decode(self._content):
            self._recorder.take(taken)

    def connection_lost(self, _: Exception | None) -> None:
        self._recorder.left(self)  # what a killed worker had sent half of is dropped


async def record_all(settings: Settings) -> None:
    """Listen and record until SIGTERM, or until standard input ends with whoever started this."""
    recorder, ending, loop = Recorder(settings), asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)

    def parent_ended() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            ending.set()

    loop.add_reader(0, parent_ended)
    path = socket_path(settings.port)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    server = await loop.create_unix_server(recorder.connect, str(path))
    path.chmod(0o600)
    await recorder.run(ending)
    server.close()
    path.unlink(missing_ok=True)


def main() -> None:
    """Record until the end."""
    logs.start(f"recorder-{os.getpid()}")
    os.nice(_NICENESS)
    asyncio.run(record_all(Settings.from_json(json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
