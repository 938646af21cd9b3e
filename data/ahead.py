"""Work that threads do ahead of its use, in order, with a bound on how much of it waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def results(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, waiting: int
) -> Iterator[Result]:
    """Yield ``work(item)`` of each item, in their order.

    What is not yet begun is dropped when the iterator is closed, so that nobody waits for what is not used.

    Args:
        work: called in a thread.
        items: taken as they are needed, in the caller's thread.
        threads: how many work at once.
        waiting: how many results there are at most that were not asked for yet, done or not.
    """
    coming: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, "ahead") as pool:
        try:
            for item in items:
                coming.append(pool.submit(work, item))
                if len(coming) > waiting:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for result in coming:
                result.cancel()
