"""The queue: every request gets its own answer; nothing waits for company, and nothing for ever."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.bundles.signature import Tensor
from components.serving.engine.batching import Queue
from components.serving.engine.thread_pool import ThreadPool
from components.serving.request_error import Reason, RequestError
from components.serving.settings import ModelSettings

X, Y = Tensor("x", "int64", (-1, -1)), Tensor("y", "int64", (-1,))


class Model:
    """Sums rows; remembers the batches that it saw; stops at a gate when there is one; fails on negative numbers."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.batches: list[int] = []
        self.started = threading.Event()
        self._gate = gate

    def __call__(self, inputs):
        self.started.set()
        if self._gate:
            self._gate.wait(10)
        x = inputs["x"]
        self.batches.append(len(x))
        if (x < 0).any():
            raise ValueError("negative")
        return {"y": x.sum(axis=1)}


def run(scenario, model: Model, *, threads: int = 1, outputs=(Y,), **bounds):
    """Run ``scenario(queue)`` in an event loop."""
    computing = ThreadPool(threads)

    async def within():
        return await scenario(Queue(model, [X], list(outputs), computing, ModelSettings(**bounds)))

    try:
        return asyncio.run(within())
    finally:
        computing.close()


def x(*rows) -> dict[str, np.ndarray]:
    return {"x": np.array(rows, dtype=np.int64)}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 5),  # rows
            st.sampled_from([2, 3]),  # columns: requests of different ones cannot share a batch
            st.booleans(),  # whether to let the loop turn before the next
            st.integers(0, 9),  # 0: a request that fails the graph
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 3),
    st.integers(1, 8),
    st.booleans(),
)
def test_any_interleaving_gives_each_request_its_own_answer(requests, threads, max_batch, batching):
    model = Model()

    async def scenario(queue):
        async def one(number, rows, columns, bad):
            values = np.full((rows, columns), number + 1, dtype=np.int64)
            values[0, 0] = -1 if bad else number + 1
            answer, job = await queue.infer({"x": values})
            assert job.rows == rows <= job.batch.rows
            return answer["y"]

        tasks = []
        for number, (rows, columns, turn, luck) in enumerate(requests):
            tasks.append(asyncio.ensure_future(one(number, rows, columns, luck == 0)))
            if turn:
                await asyncio.sleep(0)
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)

    answers = run(scenario, model, threads=threads, max_batch=max_batch, batching=batching)
    for number, ((rows, columns, _, luck), answer) in enumerate(zip(requests, answers, strict=True)):
        if luck == 0:
            assert isinstance(answer, ValueError)
        else:
            assert answer.tolist() == [(number + 1) * columns] * rows
    assert max(model.batches) <= max(max_batch, *(rows for rows, *_ in requests))


def test_idle_dispatches_at_once_and_busy_gathers():
    gate = threading.Event()
    model = Model(gate)

    async def scenario(queue):
        first = asyncio.ensure_future(queue.infer(x([1])))
        await asyncio.to_thread(model.started.wait, 5)  # it did not wait for others
        others = [asyncio.ensure_future(queue.infer(x([n]))) for n in range(10)]
        await asyncio.sleep(0)
        assert (queue.waiting, queue.running) == (10, 1)
        gate.set()
        return await asyncio.gather(first, *others)

    answers = run(scenario, model, max_batch=4)
    assert model.batches == [1, 4, 4, 2]
    assert [answer["y"].tolist() for answer, _ in answers] == [[1], *([n] for n in range(10))]
    assert [job.leads for _, job in answers].count(True) == 4


def test_what_is_quick_is_computed_in_the_loop_with_what_came_in_the_same_turn():
    threads, batches = [], []

    def model(inputs):
        threads.append(threading.current_thread().name)
        batches.append(len(inputs["x"]))
        return {"y": inputs["x"].sum(axis=1)}

    async def scenario(queue):
        for n in range(20):  # until one of them was not held up by whatever else this machine does
            await queue.infer(x([n]))
        threads.clear(), batches.clear()
        return await asyncio.gather(*(queue.infer(x([n])) for n in range(10)))

    answers = run(scenario, model)
    assert threads == [threading.main_thread().name] and batches == [10]
    assert [answer["y"].tolist() for answer, _ in answers] == [[n] for n in range(10)]


@pytest.mark.parametrize(
    ("requests", "rows", "seconds_a_row", "here"),
    [
        (1, 1, 80e-6, True),  # less than handing over takes
        (1, 1, 200e-6, False),
        (1, 64, 3e-6, False),  # the next request can be read meanwhile
        (64, 1, 3e-6, True),  # reading these takes far longer
        (64, 1, 10e-6, False),  # others would wait for too long
    ],
)
def test_where_a_batch_is_computed(requests, rows, seconds_a_row, here):
    async def scenario(queue):
        queue._took.append((rows * requests, rows * requests * seconds_a_row))
        queue._waiting.extend(queue._job(x(*[[1]] * rows), None) for _ in range(requests))
        return queue._is_quick()

    assert run(scenario, Model()) == here


def test_without_batching_each_is_computed_alone():
    model = Model()
    run(lambda queue: asyncio.gather(*(queue.infer(x([n])) for n in range(6))), model, batching=False)
    assert model.batches == [1] * 6


def test_what_has_no_rows_is_computed_alone():
    model = Model()
    fixed = Tensor("y", "int64", (1,))
    run(lambda queue: asyncio.gather(*(queue.infer(x([n])) for n in range(6))), model, outputs=[fixed])
    assert model.batches == [1] * 6


def test_a_full_queue_refuses_and_serves_what_it_holds():
    gate = threading.Event()
    model = Model(gate)

    async def scenario(queue):
        tasks = [asyncio.ensure_future(queue.infer(x([n]))) for n in range(1)]
        await asyncio.to_thread(model.started.wait, 5)
        tasks += [asyncio.ensure_future(queue.infer(x([n]))) for n in range(1, 9)]
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = run(scenario, model, max_queue=3)
    refused = [answer for answer in answers if isinstance(answer, RequestError)]
    assert [refusal.reason for refusal in refused] == [Reason.BUSY] * 5
    assert refused[0].retry_after_s == 2
    assert [answer[0]["y"].tolist() for answer in answers[:4]] == [[0], [1], [2], [3]]


@pytest.mark.parametrize("swept", [False, True])
def test_what_waited_too_long_is_refused_and_never_computed(swept):
    gate = threading.Event()
    model = Model(gate)

    async def scenario(queue):
        first = asyncio.ensure_future(queue.infer(x([1])))
        await asyncio.to_thread(model.started.wait, 5)
        late = asyncio.ensure_future(queue.infer(x([2]), 0.01))
        patient = asyncio.ensure_future(queue.infer(x([3])))
        await asyncio.sleep(0.05)
        if swept:  # told while the computation still runs
            queue.expire()
            await asyncio.wait([late], timeout=1)
            assert late.done()
        gate.set()
        return await asyncio.gather(first, late, patient, return_exceptions=True)

    first, late, patient = run(scenario, model, max_wait_ms=5000)
    assert (first[0]["y"].tolist(), patient[0]["y"].tolist()) == ([1], [3])
    assert late.reason is Reason.BUSY and sum(model.batches) == 2


def test_a_client_that_left_is_not_computed():
    gate = threading.Event()
    model = Model(gate)

    async def scenario(queue):
        first = asyncio.ensure_future(queue.infer(x([1])))
        await asyncio.to_thread(model.started.wait, 5)
        left = asyncio.ensure_future(queue.infer(x([2])))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        gate.set()
        await first
        return await queue.infer(x([3]))

    run(scenario, model)
    assert model.batches == [1, 1]


def test_models_take_turns():
    """A model with many requests does not keep another one waiting until all of its own are answered."""
    computing, order = ThreadPool(1), []

    def model(name):
        def predict(inputs):
            order.append(name)
            time.sleep(0.002)
            return {"y": inputs["x"].sum(axis=1)}

        return predict

    async def scenario():
        bounds = ModelSettings(batching=False)
        greedy, modest = (Queue(model(name), [X], [Y], computing, bounds) for name in ("greedy", "modest"))
        tasks = [asyncio.ensure_future(greedy.infer(x([n]))) for n in range(20)]
        tasks.append(asyncio.ensure_future(modest.infer(x([0]))))
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    computing.close()
    assert order.index("modest") <= 3
