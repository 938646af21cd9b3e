"""Access, limits, deadlines and status codes, over a connection; nothing that a client sends is the server's fault."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.grpc.methods import SERVICE
from components.serving.http import tokens
from tests.components.serving import bundles
from tests.components.serving.grpc.client import Caller, asked, told
from tests.components.serving.grpc.requests import requests
from tests.components.serving.server import Server

ONE = bundles.example("classification", 1)
WIRE = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MAX_BODY = 1 << 20  # of the server of the fixture
BUSY = 30  # requests of 64 rows to the slow model: a good part of a second
CLIENTS_FAULT = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE", "DEADLINE_EXCEEDED"}


def code(call) -> str:
    error = call.exception()
    return error.code().name if error else "OK"


@WIRE
@given(st.data())
def test_whatever_is_asked_is_answered_or_refused(caller, data):
    request = data.draw(requests([kind for kind in bundles.SIGNATURES if kind != "slow"]))
    assert code(caller.start(request)) in CLIENTS_FAULT


@WIRE
@given(st.sampled_from(["ModelInfer", "ModelReady", "ServerLive", "ModelMetadata"]), st.binary(max_size=60))
def test_noise_is_refused(caller, name, content):
    call = caller.start_bytes(name, content, getattr(pb, f"{name}Response"))
    assert code(call) in CLIENTS_FAULT


def test_noise_is_told_by_name(caller):
    call = caller.start_bytes("ModelInfer", b"\x0a\x05ab", pb.ModelInferResponse)
    assert told(call) == ("INVALID_ARGUMENT", "the message is not of the protocol")
    call = caller.start_bytes("ModelInfer", b"\x0a\x01\xff", pb.ModelInferResponse)  # no UTF-8
    assert told(call) == ("INVALID_ARGUMENT", "the message is no ModelInferRequest")


def test_a_message_is_as_large_as_a_body(caller):
    name, details = caller.refused(asked("classification", ONE, id="x" * MAX_BODY))
    assert name == "RESOURCE_EXHAUSTED" and str(MAX_BODY) in details
    assert caller.call(asked("classification", ONE, id="x" * 900_000)).id == "x" * 900_000


def test_compressed_ones_are_not_taken(caller):
    call = caller.start(asked("classification", ONE, id="x" * 5000), compression=grpc.Compression.Gzip)
    assert code(call) == "UNIMPLEMENTED"


def test_what_is_quoted_is_cut(caller):
    """A status travels as a header: a long one would be lost on the way."""
    request = asked("classification", ONE, outputs=[{"name": "ä" * 100_000}])
    name, details = caller.refused(request)
    assert name == "INVALID_ARGUMENT" and details.startswith("no output 'ää") and details.endswith("ä...")


def test_a_request_has_an_id(caller):
    def ids(request, **options) -> list[str]:
        call = caller.start(request, **options)
        call.exception()
        return [value for key, value in call.trailing_metadata() if key == "x-request-id"]

    given = [("x-request-id", "mine")]
    assert ids(asked("classification", ONE), metadata=given) == ["mine"]
    assert ids(asked("nothing", ONE), metadata=given) == ["mine"]
    (one,), (other,) = ids(pb.ServerLiveRequest()), ids(pb.ServerLiveRequest())
    assert one != other


def test_refusals_are_logged_with_their_id(both, caller):
    caller.start(asked("nothing", ONE), metadata=[("x-request-id", "look-for-me")]).exception()
    (line,) = [event for event in both.events() if event.get("request") == "look-for-me"]
    assert (line["method"], line["path"], line["status"]) == ("gRPC", "ModelInfer", "NOT_FOUND")
    assert (line["model"], line["level"]) == ("nothing", "info")


def test_pages_of_other_sites_are_refused_behind_a_gateway(caller):
    metadata = [("origin", "http://evil.example")]
    name, details = caller.refused(asked("classification", ONE), metadata=metadata)
    assert name == "PERMISSION_DENIED" and "pages of other sites" in details


def test_a_call_that_sends_nothing_ends(both):
    """One that never sends its message does not hold a place for ever; one that ends before it is told."""
    with grpc.insecure_channel(f"127.0.0.1:{both.address['grpc_port']}") as channel:
        infer = channel.stream_unary(f"/{SERVICE}/ModelInfer")
        ending, started = threading.Event(), time.monotonic()

        def nothing():
            ending.wait(20)
            yield b""

        call = infer.future(nothing())
        assert told(call) == ("DEADLINE_EXCEEDED", "the request did not arrive whole within 2 s")
        assert 1.5 < time.monotonic() - started < 15
        ending.set()
        assert told(infer.future(iter(()))) == ("INVALID_ARGUMENT", "the call has no message")


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_connection_that_does_not_begin_ends(both, sent):
    with socket.create_connection(("127.0.0.1", both.address["grpc_port"]), timeout=15) as connection:
        connection.sendall(sent)
        started = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):
                pass
        assert time.monotonic() - started < 10


def test_calls_at_once_are_bounded(tmp_path):
    bundles.write(tmp_path / "slow", "slow")
    settings = {"bundles": {"slow": str(tmp_path / "slow")}, "grpc_port": 0, "max_connections": 2}
    with Server(tmp_path, worker=settings) as server, Caller(server.address["grpc_port"]) as caller:
        calls = [caller.start(asked("slow", bundles.example("slow", 64))) for _ in range(8)]
        codes = [code(call) for call in calls]
        assert set(codes) == {"OK", "RESOURCE_EXHAUSTED"} and codes.count("OK") >= 2


def test_a_deadline_is_patience(both, caller):
    """A call whose deadline has passed is not computed any more."""
    slow, rows = bundles.example("slow", 64), _rows(both)
    busy = [caller.start(asked("slow", slow)) for _ in range(BUSY)]
    late = caller.start(asked("slow", bundles.example("slow", 1)), timeout=0.02)
    assert code(late) == "DEADLINE_EXCEEDED"
    assert [code(call) for call in busy] == ["OK"] * BUSY
    assert _rows(both) == rows + BUSY * 64  # nothing for the late one
    waits = asked("slow", bundles.example("slow", 1), parameters={"timeout": {"int64_param": 1}})
    busy = [caller.start(asked("slow", slow)) for _ in range(BUSY)]
    name, details = caller.refused(waits)
    assert (name, details) == ("UNAVAILABLE", "busy: its turn did not come in time; try again")
    assert [code(call) for call in busy] == ["OK"] * BUSY


def _rows(server: Server) -> int:
    """Return how many rows the slow model has computed."""
    (told,) = server.client().get("/v2/models/slow/stats")["model_stats"]
    return told["inference_count"]


def test_shed_load_is_told_to_come_again(tmp_path):
    bundles.write(tmp_path / "slow", "slow")
    bounds = {"max_queue": 2, "batching": False, "max_wait_ms": 20000}
    settings = {
        "bundles": {"slow": str(tmp_path / "slow")},
        "grpc_port": 0,
        "computing": 1,
        "default": bounds,
    }
    with Server(tmp_path, worker=settings) as server, Caller(server.address["grpc_port"]) as caller:
        calls = [caller.start(asked("slow", bundles.example("slow", 1))) for _ in range(12)]
        codes = [code(call) for call in calls]
        assert set(codes) == {"OK", "UNAVAILABLE"} and codes.count("OK") >= 3
        refused = calls[codes.index("UNAVAILABLE")]
        assert ("grpc-retry-pushback-ms", "20000") in [tuple(pair) for pair in refused.trailing_metadata()]
        metrics = server.client().ask("GET", "/metrics")[1].decode()
        assert 'darkroom_rejected_total{model="slow",status="503"}' in metrics


def test_tokens(tmp_path):
    path = tmp_path / "tokens.json"
    read = tokens.make(path, "shop", "read")
    bundles.write(tmp_path / "m")
    settings = {"bundles": {"m": str(tmp_path / "m")}, "grpc_port": 0, "tokens": str(path)}
    with Server(tmp_path, worker=settings) as server:
        port = server.address["grpc_port"]
        with Caller(port) as stranger:
            assert stranger.call(pb.ServerLiveRequest()).live and stranger.call(pb.ServerReadyRequest()).ready
            for request in (asked("m", ONE), pb.ModelMetadataRequest(name="m"), pb.ServerMetadataRequest()):
                assert stranger.refused(request) == ("UNAUTHENTICATED", "a bearer token is needed")
            # RequestError before anything of it is read.
            call = stranger.start_bytes("ModelInfer", b"\xff" * 40, pb.ModelInferResponse)
            assert code(call) == "UNAUTHENTICATED"
        with Caller(port, "shop.wrong") as stranger:
            assert code(stranger.start(asked("m", ONE))) == "UNAUTHENTICATED"
        with Caller(port, read) as shop:
            assert shop.call(asked("m", ONE)).model_version == "1"
            assert shop.call(pb.ModelMetadataRequest(name="m")).name == "m"
        assert read.partition(".")[2] not in server.log.read_text()
