"""gRPC's health service, as Kubernetes' probes and proxies ask it."""

from __future__ import annotations

import queue
import signal
import threading

import grpc
import pytest

from components.serving.grpc import health_pb2 as pb
from components.serving.grpc.health import LIVENESS, NAME
from components.serving.grpc.methods import SERVICE
from tests.components.serving import bundles
from tests.components.serving.server import Server

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING


class Probe:
    """Asks one server."""

    def __init__(self, port: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)

    def check(self, service: str) -> int:
        call = self.channel.unary_unary(
            f"/{NAME}/Check", response_deserializer=pb.HealthCheckResponse.FromString
        )
        return call(pb.HealthCheckRequest(service=service).SerializeToString(), timeout=10).status

    def watch(self, service: str) -> queue.Queue[int | str]:
        """Return what a watch is told, and at last the code that it ended with."""
        call = self.channel.unary_stream(
            f"/{NAME}/Watch", response_deserializer=pb.HealthCheckResponse.FromString
        )
        answers, told = (
            call(pb.HealthCheckRequest(service=service).SerializeToString(), timeout=60),
            queue.Queue(),
        )

        def read() -> None:
            try:
                for answer in answers:
                    told.put(answer.status)
            except grpc.RpcError:
                pass
            told.put(answers.code().name)

        threading.Thread(target=read, daemon=True).start()
        return told


def test_check(both):
    """Without a token, as all of the server is asked by its own or by no name."""
    probe = Probe(both.address["grpc_port"])
    assert [probe.check(service) for service in ("", SERVICE, LIVENESS)] == [SERVING] * 3
    with pytest.raises(grpc.RpcError) as unknown:
        probe.check("nothing")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    assert unknown.value.details().startswith("no service 'nothing': ''")


def test_watch_tells_changes_and_ends_with_the_server(tmp_path):
    """A server that is told to end says that it serves no more, and does not wait for those that watch."""
    bundles.write(tmp_path / "m", "classification")
    with Server(
        tmp_path, worker={"bundles": {"m": str(tmp_path / "m")}, "grpc_port": 0, "grace_s": 30}
    ) as server:
        probe = Probe(server.address["grpc_port"])
        watched = {service: probe.watch(service) for service in ("", SERVICE, LIVENESS, "nothing")}
        first = {service: told.get(timeout=10) for service, told in watched.items()}
        unknown = pb.HealthCheckResponse.SERVICE_UNKNOWN
        assert first == {"": SERVING, SERVICE: SERVING, LIVENESS: SERVING, "nothing": unknown}
        server.process.send_signal(signal.SIGTERM)
        assert [watched[""].get(timeout=10), watched[""].get(timeout=10)] == [NOT_SERVING, "OK"]
        assert watched[LIVENESS].get(timeout=10) == watched["nothing"].get(timeout=10) == "OK"
        assert server.process.wait(10) == 0
