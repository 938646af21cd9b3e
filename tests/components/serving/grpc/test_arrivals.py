"""Messages arrive within one budget, wait their turn, and are told when there is no room."""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack, closing
from pathlib import Path

import grpc
import numpy as np
import pytest

from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.grpc.arrivals import Arrivals
from components.serving.http.body import FREE, Budget
from components.serving.request_error import Reason, RequestError
from tests.components.serving import bundles
from tests.components.serving.grpc.client import Caller, asked, outputs
from tests.components.serving.grpc.upload import Upload
from tests.components.serving.server import Server

MIB = 1 << 20


class Line:
    """Messages by number: each arrives when it is let, as large as it is said to be."""

    def __init__(self, budget: Budget, patience_s: float = 60.0) -> None:
        self.budget, self.arrivals = budget, Arrivals(budget, 4 * FREE, 60.0, patience_s)
        self.reading: list[int] = []
        self.let: dict[int, asyncio.Future] = {}
        self.answered = asyncio.Event()
        self.tasks: list[asyncio.Task] = []

    async def ask(self) -> int:
        """Begin a call, and return its number."""
        number = len(self.tasks)
        self.let[number] = asyncio.get_running_loop().create_future()

        async def read() -> bytes:
            self.reading.append(number)
            return bytes(await self.let[number])

        async def call() -> None:
            _, held = await self.arrivals.take(read)
            await self.answered.wait()
            self.arrivals.release(held)

        self.tasks.append(asyncio.create_task(call()))
        await self.settle()
        return number

    async def arrive(self, number: int, size: int) -> None:
        self.let[number].set_result(size)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def refusal(self, number: int) -> RequestError:
        error = self.tasks[number].exception()
        assert isinstance(error, RequestError)
        return error


def test_as_many_arrive_as_there_is_room_for_the_largest():
    async def scene() -> None:
        line = Line(Budget(9 * FREE))
        numbers = [await line.ask() for _ in range(4)]
        assert line.reading == numbers[:2] and line.budget.held == 8 * FREE
        await line.arrive(0, FREE)  # a small one holds nothing: the next has room
        assert line.reading == numbers[:3]
        await line.arrive(1, 2 * FREE)  # holds what it is, which leaves no room for the largest
        assert line.reading == numbers[:3] and line.budget.held == 6 * FREE
        line.answered.set()
        await line.settle()
        assert line.reading == numbers and line.budget.held == 8 * FREE
        await line.arrive(2, 1)
        await line.arrive(3, 4 * FREE)
        await asyncio.gather(*line.tasks)
        assert line.budget.held == 0

    asyncio.run(scene())


def test_small_ones_find_room_whatever_is_held_and_a_large_one_is_told():
    async def scene() -> None:
        line = Line(Budget(5 * FREE))
        line.budget.take(3 * FREE)  # bodies of HTTP
        for size in (10, FREE, 3 * FREE):
            await line.arrive(await line.ask(), size)
        assert line.reading == [0, 1, 2]
        error = line.refusal(2)
        assert error.reason is Reason.NO_ROOM and "bytes already; try again" in str(error)
        line.answered.set()
        await asyncio.gather(*line.tasks[:2])
        assert line.budget.held == 3 * FREE

    asyncio.run(scene())


def test_who_does_not_send_makes_room_for_who_waits():
    async def scene() -> None:
        line = Line(Budget(4 * FREE), patience_s=0.05)
        silent = await line.ask()
        await asyncio.sleep(0.1)
        assert not line.tasks[silent].done()  # nobody waits
        waiting = await line.ask()
        await asyncio.sleep(0.1)
        assert line.reading == [silent, waiting]
        assert line.refusal(silent).reason is Reason.NO_ROOM
        assert "did not arrive within 0.05 s, while others wait" in str(line.refusal(silent))
        await line.arrive(waiting, FREE)
        line.answered.set()
        await line.tasks[waiting]
        assert line.budget.held == 0

    asyncio.run(scene())


def test_a_client_that_goes_leaves_nothing_held():
    async def scene() -> None:
        line = Line(Budget(4 * FREE))
        numbers = [await line.ask() for _ in range(3)]
        line.tasks[1].cancel()  # it waits
        await line.settle()
        line.tasks[0].cancel()  # it arrives
        await line.settle()
        assert line.reading == [0, numbers[2]] and line.budget.held == 4 * FREE
        line.tasks[2].cancel()
        await line.settle()
        assert line.budget.held == 0
        await line.arrive(await line.ask(), FREE)
        assert line.reading[-1] == 3

    asyncio.run(scene())


@pytest.fixture
def bounded(tmp_path):
    """A worker that takes messages of 8 MiB, 40 MiB of them at once."""
    bundles.write(tmp_path / "m", "classification")
    worker = {
        "bundles": {"m": str(tmp_path / "m")},
        "grpc_port": 0,
        "max_body": 8 * MIB,
        "max_held": 40 * MIB,
    }
    with Server(tmp_path, worker=worker) as server:
        with Caller(server.address["grpc_port"]) as caller:
            caller.call(asked("m", bundles.example("classification", 1)))
        yield server


def test_large_messages_of_many_clients_take_no_more_than_their_budget(bounded):
    """Unfinished ones; small requests and probes are answered meanwhile, and all is given back."""
    port, before = bounded.address["grpc_port"], _resident(bounded, "VmRSS")
    with ExitStack() as stack:
        uploads = [stack.enter_context(closing(Upload(port, 8 * MIB))) for _ in range(20)]
        for upload in uploads:
            upload.push(0.2)
        arriving = [upload for upload in uploads if upload.sent > MIB]
        assert len(arriving) >= 5
        assert _resident(bounded, "VmHWM") - before < 40 * MIB + 8 * MIB + 24 * MIB
        given = bundles.example("classification", 2)
        with Caller(port) as caller:
            assert caller.call(pb.ServerLiveRequest(), timeout=5).live
            found = outputs(caller.call(asked("m", given)))
        assert np.array_equal(
            found["probabilities"], bundles.answers("classification", given)["probabilities"]
        )
        for upload in uploads:
            upload.push(0.2)
        assert str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]) in {upload.status for upload in uploads}
    assert _resident(bounded, "VmHWM") - before < 40 * MIB + 8 * MIB + 24 * MIB


def test_many_whole_messages_at_once_are_answered_or_told(bounded):
    port, before = bounded.address["grpc_port"], _resident(bounded, "VmRSS")
    large = asked("m", bundles.example("classification", 1))
    large.raw_input_contents.append(bytes(7 * MIB))  # one too many, which is told once it is there
    with ExitStack() as stack:
        callers = [stack.enter_context(Caller(port)) for _ in range(24)]
        calls = [caller.start(large) for caller in callers for _ in range(2)]
        codes = {call.exception().code().name for call in calls}
    assert "INVALID_ARGUMENT" in codes and codes <= {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
    assert (
        _resident(bounded, "VmHWM") - before < 3 * 40 * MIB
    )  # the library's, Python's and the message's own


def _resident(server: Server, key: str) -> int:
    """Return the memory of a worker in bytes: ``VmRSS`` now, ``VmHWM`` at most."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+)", status)[1]) << 10
