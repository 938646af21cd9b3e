"""Work that copies of this process do ahead of its use, in order, with a bound on how much of it waits.

It is for what holds Python's interpreter lock: of small files most of the time to decode one is Python, and two threads
that take the lock from each other need more of the processors for it than one does. A copy knows all that this process
knows when the first result is asked for; items and results go through pipes.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ARE_SAFE = sys.platform == "linux"
"""Whether a process may go on as a copy: the libraries of macOS must not be used in one."""


def results(
    work: Callable[[Item], Result], items: Iterable[Item], *, processes: int, waiting: int
) -> Iterator[Result]:
    """Yield ``work(item)`` of each item, in their order.

    Args:
        work: called in a copy of this process; what it raises is raised here.
        items: taken as they are needed; some bytes each, such as numbers, so that a pipe holds those that wait.
        processes: how many copies work at once.
        waiting: how many results there are at most that were not asked for yet, done or not.

    Raises:
        ChildProcessError: a copy was killed.
    """
    copies = _Copies(work, processes)
    given: deque[int] = deque()
    try:
        for number, item in enumerate(items):
            given.append(number % processes)
            copies.give(given[-1], item)
            if len(given) > waiting:
                yield copies.take(given.popleft())
        while given:
            yield copies.take(given.popleft())
    finally:
        copies.end()


class _Copies:
    """Copies of this process, each at the other end of a pipe; they end when this one does."""

    def __init__(self, work: Callable[[Any], Any], processes: int) -> None:
        fork = multiprocessing.get_context("fork")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(processes):
            here, there = fork.Pipe()
            copy = fork.Process(target=_serve, args=(work, there, [*self._pipes, here]), daemon=True)
            copy.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(copy)

    def give(self, number: int, item: Any) -> None:
        try:
            self._pipes[number].send(item)
        except OSError:
            raise self._lost(number) from None

    def take(self, number: int) -> Any:
        try:
            result, error = self._pipes[number].recv()
        except (EOFError, OSError):
            raise self._lost(number) from None
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join()

    def _lost(self, number: int) -> ChildProcessError:
        process = self._processes[number]
        process.join()
        return ChildProcessError(
            f"a process that worked ahead ended with status {process.exitcode} before it was done"
        )


def _serve(work: Callable[[Any], Any], pipe: Connection, others: Sequence[Connection]) -> None:
    """Do ``work`` until nobody asks any more; ``others`` are ends of pipes that this copy only inherited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # It ends by what becomes of the process that it works for.
    for other in others:
        other.close()
    try:
        while True:
            pipe.send(_tried(work, pipe.recv()))
    except (EOFError, OSError):
        pass


def _tried(work: Callable[[Any], Any], item: Any) -> tuple[Any, Exception | None]:
    try:
        return work(item), None
    except Exception as error:
        return None, error
