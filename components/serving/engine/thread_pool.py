"""The threads that compute: as many as fit the cores, shared by all models, taking turns between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class ThreadPool:
    """A fixed number of threads that run what is due, first come, first served.

    A queue of a model puts itself in line once for each batch it has; a model with many requests therefore takes its
    turns between the batches of others.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._due: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"computing-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, work: Callable[[], None]) -> None:
        """Run ``work`` when a thread is free; it must not raise."""
        self._due.put(work)

    def close(self) -> None:
        """Finish what is due, and end the threads."""
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (work := self._due.get()) is not None:
            work()
            del work  # or an idle thread would keep a version that was swapped out
