from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from data import ahead, forks

THREADS_AND_PROCESSES = pytest.mark.parametrize(
    "results",
    [partial(ahead.results, threads=2), partial(forks.results, processes=2)],
    ids=["threads", "processes"],
)
"""One contract, whoever works ahead."""


@THREADS_AND_PROCESSES
def test_results_come_in_the_order_of_the_items(results):
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number**2

    assert list(results(work, range(40), waiting=6)) == [k**2 for k in range(40)]


@THREADS_AND_PROCESSES
def test_items_are_taken_no_further_ahead_than_asked_for(results):
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    found = results(lambda number: number, items(), waiting=5)
    assert next(found) == 0 and len(taken) == 6
    assert next(found) == 1 and len(taken) == 7
    found.close()


@THREADS_AND_PROCESSES
def test_an_error_is_raised_where_its_result_is_due(results):
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    found = results(work, range(10), waiting=4)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(found)


def test_what_is_not_begun_is_dropped_when_nobody_asks_any_more():
    begun, go_on = [], threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number:
            go_on.wait(10)
        return number

    found = ahead.results(work, range(50), threads=1, waiting=20)
    assert next(found) == 0
    threading.Timer(0.2, go_on.set).start()
    found.close()
    assert len(begun) <= 2
