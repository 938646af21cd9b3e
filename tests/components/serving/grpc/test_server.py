"""gRPC's server as a process: workers on one port, the end of it, and what is told when it cannot be."""

from __future__ import annotations

import signal
import socket
import threading
import time

import grpc
import numpy as np
import psutil
import pytest

from components.serving.grpc import open_inference_grpc_pb2 as pb
from tests.components.serving import bundles
from tests.components.serving.grpc.client import Caller, asked, outputs
from tests.components.serving.server import Server


@pytest.fixture
def fixed(tmp_path) -> list[str]:
    """Options of a server with a quick model and a slow one."""
    options = ["--grpc-port", "0"]
    for name, kind in {"m": "classification", "slow": "slow"}.items():
        bundles.write(tmp_path / name, kind)
        options += ["--bundle", f"{name}={tmp_path / name}"]
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    return options


class Load(threading.Thread):
    """A client that asks as fast as it is answered, checks each answer, and ends when the server does.

    Attributes:
        right: the ids of requests that were answered rightly.
        wrong: what should not have come.
        ends: the code of the call that was not answered, and its id.
    """

    def __init__(self, port: int, number: int) -> None:
        super().__init__(daemon=True)
        self.port, self.number = port, number
        self.right: set[str] = set()
        self.wrong: list[str] = []
        self.ends: list[tuple[str, str]] = []
        self.start()

    def run(self) -> None:
        with Caller(self.port) as caller:
            for seed in range(100_000):
                given = bundles.example("classification", 1 + seed % 3, seed=1000 * self.number + seed)
                id = f"load-{self.number}-{seed}"
                try:
                    found = outputs(caller.call(asked("m", given), metadata=[("x-request-id", id)]))
                except grpc.RpcError as error:
                    self.ends.append((error.code().name, id))
                    return
                expected = bundles.answers("classification", given)["probabilities"]
                if not np.array_equal(found["probabilities"], expected):
                    self.wrong.append(str(found))
                self.right.add(id)


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load(tmp_path, fixed, workers):
    """What was begun is answered rightly, what comes in that moment is not begun and told so, and the server ends."""
    with Server(tmp_path, *fixed, "--workers", str(workers), "--grace", "10", "--access-log") as server:
        port = server.address["grpc_port"]
        loads = [Load(port, number) for number in range(4)]
        with Caller(port) as caller:
            time.sleep(1.0)
            given = bundles.example("slow", 64)
            accepted = [caller.start(asked("slow", given)) for _ in range(3)]
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            for call in accepted:
                found = outputs(call.result())
                np.testing.assert_array_equal(
                    found["probabilities"], bundles.answers("slow", given)["probabilities"]
                )
            assert server.process.wait(20) == 0
        for load in loads:
            load.join(30)
    assert [load.wrong for load in loads] == [[]] * 4 and all(len(load.right) > 10 for load in loads)
    # gRPC's core cancels a call that has arrived when the end begins, and that nobody has taken up
    # (https://github.com/grpc/grpc/issues/41785).
    assert {code for load in loads for code, _ in load.ends} <= {"UNAVAILABLE", "CANCELLED"}
    begun = {event["request"] for event in server.events() if event["event"] == "request"}
    assert {id for id in begun if id.startswith("load-")} == set().union(*(load.right for load in loads))
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    _no_tracebacks(server)


def test_workers_share_the_port(tmp_path, fixed):
    """Connections spread over the workers; one that dies leaves the port to the others, and comes back."""
    with Server(tmp_path, *fixed, "--workers", "2") as server:
        port = server.address["grpc_port"]
        assert len(_answering(port)) == 2
        workers = [p for p in psutil.Process(server.process.pid).children() if "--number" in p.cmdline()]
        time.sleep(1.1)
        workers[0].kill()
        workers[0].wait(10)
        before = _answering(port)
        assert len(before) == 1
        limit = time.monotonic() + 30
        while len(after := _answering(port)) < 2:
            assert time.monotonic() < limit, server.log.read_text()
            time.sleep(0.2)
        assert before < after
        (told,) = server.client().get("/v2/models/m/stats")["model_stats"]
        assert told["name"] == "m"


def _answering(port: int, connections: int = 24) -> set[str]:
    """Return the workers that answer new connections, by the prefix of the ids that they give."""
    found = set()
    for _ in range(connections):
        with Caller(port) as caller:
            call = caller.start(pb.ServerLiveRequest(), wait_for_ready=True)
            assert call.result().live
            (id,) = (value for key, value in call.trailing_metadata() if key == "x-request-id")
            found.add(id.partition("-")[0])
    return found


def test_a_port_in_use_is_told(tmp_path, fixed):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(AssertionError, match=f"--grpc-port {port}: cannot listen there: Address already"):
            Server(tmp_path, *fixed, "--grpc-port", port)
        # A worker alone has nobody who looks first.
        settings = {"bundles": {"m": str(tmp_path / "m")}, "grpc_port": int(port)}
        with pytest.raises(AssertionError, match=f"--grpc-port {port}: cannot listen there"):
            Server(tmp_path, worker=settings)


def test_two_servers_do_not_share_a_port(tmp_path, fixed):
    with Server(tmp_path, *fixed) as server:
        port = str(server.address["grpc_port"])
        with pytest.raises(AssertionError, match=f"--grpc-port {port}: cannot listen there: Address already"):
            Server(tmp_path, *fixed, "--grpc-port", port)
        with Caller(int(port)) as caller:
            assert caller.call(pb.ServerReadyRequest()).ready


def test_none_is_asked_for(tmp_path, fixed):
    with Server(tmp_path, *fixed[2:]) as server:
        assert "grpc_port" not in server.address
        (worker,) = psutil.Process(server.process.pid).children()
        assert not any("grpc" in mapped.path for mapped in worker.memory_maps())


def test_a_bomb_does_not_grow_the_server(both, caller):
    """A message of the largest size whose parser would make half a million objects; and no time is lost on it."""
    worker = psutil.Process(both.process.pid)
    caller.call(asked("classification", bundles.example("classification", 1)))
    bomb = b"\x2a\x00" * ((1 << 19) - 32)
    before = worker.memory_info().rss
    for _ in range(20):
        call = caller.start_bytes("ModelInfer", bomb, pb.ModelInferResponse)
        assert call.exception().code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert call.exception().details() == "the message has more than 4096 fields"
    assert worker.memory_info().rss - before < 24 << 20


def _no_tracebacks(server: Server) -> None:
    assert not [event for event in server.events() if "traceback" in event]
    assert all(line.startswith("{") for line in server.log.read_text().split("\n") if line)
