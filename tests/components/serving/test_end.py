"""The end of a server: SIGTERM drains, a death is seen, and nothing is left behind."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time

import psutil
import pytest

from tests import needs
from tests.components.serving import bundles
from tests.components.serving.load import Load
from tests.components.serving.server import Server, binary


@pytest.fixture
def paths(tmp_path) -> dict[str, str]:
    made = {"m": "classification", "slow": "slow"}
    for name, kind in made.items():
        bundles.write(tmp_path / name, kind)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").touch()
    return {name: str(tmp_path / name) for name in made}


def fixed(paths: dict[str, str]) -> list[str]:
    return [option for name, path in paths.items() for option in ("--bundle", f"{name}={path}")]


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load(tmp_path, paths, workers):
    """Every request on a connection that was open is answered rightly, and the server ends in time."""
    with Server(tmp_path, *fixed(paths), "--workers", str(workers), "--grace", "10") as server:
        slow = threading.Thread(target=_ask_slow, args=(server.port, answered := []))
        with Load(server.port) as load:
            time.sleep(1.0)
            slow.start()
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            assert server.process.wait(20) == 0
            took = time.monotonic() - started
            load.join()
        slow.join(20)
    assert not load.wrong and load.total > 50
    assert answered == [200] * len(answered) and answered
    assert took < 10
    # New connections in the moment of closing may be reset unheard; none that was answered before is.
    assert load.lost <= load.clients
    assert "ended" in {event["event"] for event in server.events()}
    _all_gone(server)


def _ask_slow(port: int, answered: list[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(3):
        given = bundles.example("slow", 64)
        try:
            connection.request("POST", "/v2/models/slow/infer", *binary(given))
            response = connection.getresponse()
        except (ConnectionRefusedError, http.client.RemoteDisconnected, ConnectionResetError):
            return
        response.read()
        answered.append(response.status)


def test_a_request_half_sent_is_waited_for(tmp_path, paths):
    body, headers = binary(bundles.example("classification", 1))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start = (
        f"POST /v2/models/m/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n{head}\r\n"
    )
    with Server(tmp_path, worker={"bundles": paths}) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(start.encode() + body[:-3])
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            connection.sendall(body[-3:])
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200 ") and b"connection: close" in answer
        assert server.process.wait(10) == 0


def test_idle_connections_do_not_hold_the_end_up(tmp_path, paths):
    with Server(tmp_path, worker={"bundles": paths, "grace_s": 10}) as server:
        client = server.client()
        client.get("/v2")
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert time.monotonic() - started < 5


def test_a_killed_supervisor_leaves_nothing(tmp_path, paths):
    with Server(tmp_path, *fixed(paths), "--workers", "2") as server:
        server.process.kill()
        _all_gone(server)
        with Server(tmp_path, *fixed(paths), "--port", str(server.port)) as again:  # the port is free
            assert again.client().get("/v2/health/ready")["ready"]


def test_a_worker_that_dies_is_started_again(tmp_path, paths):
    with Server(tmp_path, *fixed(paths)) as server:
        (worker,) = psutil.Process(server.process.pid).children()
        time.sleep(1.1)
        worker.kill()
        limit = time.monotonic() + 20
        while True:
            try:
                assert server.client().get("/v2/health/ready")["ready"]
                break
            except (OSError, http.client.HTTPException):
                # What was on the way to the dead one is lost; nothing is refused while the models are loaded again.
                assert time.monotonic() < limit
                time.sleep(0.05)
        assert "died; is started again" in {event["event"] for event in server.events()}


def test_an_address_in_use_is_told(tmp_path, paths):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            AssertionError, match=f"--port {port}: cannot listen there: Address already in use"
        ):
            Server(tmp_path, *fixed(paths), "--port", str(port))


def test_a_gpu_that_is_not_there_is_an_error_unless_allowed(tmp_path, paths):
    needs.gpu(wanted=False)
    with Server(tmp_path, worker={"bundles": paths, "device": "cuda"}) as server:
        status, answer, _ = server.client().ask("GET", "/v2/models/m")
        assert (status, server.address["models"]) == (404, 0) and "device 'cuda'" in json.loads(answer)[
            "error"
        ]
    with Server(tmp_path, worker={"bundles": paths, "device": "cuda", "allow_cpu": True}) as server:
        assert server.client().infer("m", bundles.example("classification", 1))[0] == "1"
        assert "the CPU computes in place of the GPU" in {event["event"] for event in server.events()}


def test_shed_load_is_told_to_come_again(tmp_path, paths):
    bounds = {"max_queue": 2, "batching": False, "max_wait_ms": 20000}
    with Server(tmp_path, worker={"bundles": paths, "computing": 1, "default": bounds}) as server:
        answers: list[tuple[int, str | None]] = []

        def ask() -> None:
            client = server.client()
            status, _, headers = client.ask(
                "POST", "/v2/models/slow/infer", *binary(bundles.example("slow", 1))
            )
            answers.append((status, headers["Retry-After"]))

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert {(200, None), (503, "20")} == set(answers)
        assert answers.count((200, None)) >= 3
        metrics = server.client().ask("GET", "/metrics")[1].decode()
        assert 'darkroom_rejected_total{model="slow",status="503"}' in metrics


def test_a_request_of_short_patience(tmp_path, paths):
    with Server(tmp_path, worker={"bundles": paths, "computing": 1}) as server:
        ending = threading.Event()

        def keep_busy() -> None:
            while not ending.is_set():
                _ask_slow(server.port, [])

        busy = threading.Thread(target=keep_busy)
        busy.start()
        given = bundles.example("slow", 1)["image"]
        entry = {
            "name": "image",
            "datatype": "UINT8",
            "shape": [1, 4, 4, 1],
            "data": given.reshape(-1).tolist(),
        }
        body = {"inputs": [entry], "parameters": {"timeout": 1}}
        expected, told = (503, "busy: its turn did not come in time; try again"), None
        until = time.monotonic() + 20
        while told != expected and time.monotonic() < until:
            status, answer, _ = server.client().ask("POST", "/v2/models/slow/infer", body)
            told = status, json.loads(answer).get("error")
        ending.set()
        busy.join(30)
        assert told == expected


def _all_gone(server: Server) -> None:
    """Wait until no process serves on the port any more."""
    limit = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        except OSError:
            return
        assert time.monotonic() < limit, "something still listens"
        time.sleep(0.05)
