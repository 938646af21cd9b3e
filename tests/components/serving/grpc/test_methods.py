"""Every method of the protocol, asked over a connection; the answers are those of REST."""

from __future__ import annotations

import json
import time

import grpc
import numpy as np
import pytest

from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.rollout.state import State, StateFile
from components.serving.telemetry import tried
from tests.components.serving import bundles
from tests.components.serving.grpc.client import Caller, asked, outputs
from tests.components.serving.rollout.test_shadow import target
from tests.components.serving.server import Server


def test_server(caller):
    assert caller.call(pb.ServerLiveRequest()).live and caller.call(pb.ServerReadyRequest()).ready
    told = caller.call(pb.ServerMetadataRequest())
    assert (told.name, list(told.extensions)) == ("darkroom", [])


def test_model_metadata_is_that_of_rest(both, caller):
    for kind in bundles.SIGNATURES:
        rest = both.client().get(f"/v2/models/{kind}")
        told = caller.call(pb.ModelMetadataRequest(name=kind, version="1"))
        assert (told.name, list(told.versions), told.platform) == (kind, ["1"], rest["platform"])
        assert dict(told.properties) == rest["parameters"]
        for side in ("inputs", "outputs"):
            found = [
                {"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in getattr(told, side)
            ]
            assert found == rest[side]


def test_model_ready(both, caller):
    def ready(name: str, version: str = "") -> bool:
        return caller.call(pb.ModelReadyRequest(name=name, version=version)).ready

    assert ready("density") and ready("density", "1") and not ready("density", "2")
    code, details = caller.refused(pb.ModelReadyRequest(name="nothing"))
    assert code == "NOT_FOUND" and details.startswith("no model 'nothing'; served: ")
    client = both.client()
    client.post("/v2/repository/models/translation/unload")
    assert not ready("translation")
    assert caller.refused(asked("translation", {})) == ("NOT_FOUND", "translation: was unloaded")
    client.post("/v2/repository/models/translation/load")
    assert ready("translation")


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("kind", bundles.SIGNATURES)
def test_every_signature(caller, kind, raw):
    given = bundles.example(kind, 3, seed=2)
    answer = caller.call(asked(kind, given, raw=raw, model_version="1", id="r"))
    assert (answer.model_name, answer.model_version, answer.id) == (kind, "1", "r")
    assert bool(answer.raw_output_contents) is raw
    found = outputs(answer)
    for name, expected in bundles.answers(kind, given).items():
        np.testing.assert_array_equal(found[name], expected, strict=True)


def test_answers_are_those_of_rest(both, caller):
    for kind in ("classification", "detection", "conditional"):
        given = bundles.example(kind, 5, seed=7)
        version, rest = both.client().infer(kind, given)
        answer = caller.call(asked(kind, given))
        assert answer.model_version == version
        for name, values in outputs(answer).items():
            np.testing.assert_array_equal(values, rest[name], strict=True)


def test_outputs_that_are_named(caller):
    given = bundles.example("density", 2)
    answer = caller.call(asked("density", given, outputs=[{"name": "log_likelihood"}]))
    assert list(outputs(answer)) == ["log_likelihood"]
    code, told = caller.refused(asked("density", given, outputs=[{"name": "nothing"}]))
    assert (code, told) == ("INVALID_ARGUMENT", "no output 'nothing': log_likelihood, probabilities")


def test_mistakes_are_told_as_rest_tells_them(both, caller):
    given = bundles.example("classification", 1)
    several = bundles.example("classification", 257)
    odd = {"image": given["image"][:, :3]}
    nan = {"landmarks": np.full((1, 5, 2), np.nan, np.float32), "shots": np.zeros((1, 1, 4, 4, 1), np.uint8)}
    for model, inputs in (
        ("classification", several),
        ("classification", odd),
        ("classification", {}),
        ("reenactment", nan),
    ):
        entries = [
            {
                "name": name,
                "datatype": {"uint8": "UINT8", "float32": "FP32"}[values.dtype.name],
                "shape": list(values.shape),
                "parameters": {"binary_data_size": values.nbytes},
            }
            for name, values in inputs.items()
        ]
        head = json.dumps({"inputs": entries}).encode()
        body = head + b"".join(values.tobytes() for values in inputs.values())
        headers = {"Inference-Header-Content-Length": str(len(head))}
        status, answer, _ = both.client().ask("POST", f"/v2/models/{model}/infer", body, headers)
        assert caller.refused(asked(model, inputs)) == ("INVALID_ARGUMENT", json.loads(answer)["error"])
        assert status == 400


def test_a_method_that_is_not_there(caller):
    call = caller.start_bytes("RepositoryIndex", b"", pb.ServerLiveResponse)
    assert call.exception().code() == grpc.StatusCode.UNIMPLEMENTED


def test_both_count_as_one(both, caller):
    def counted() -> tuple[int, int]:
        (told,) = both.client().get("/v2/models/density/stats")["model_stats"]
        return told["inference_count"], told["inference_stats"]["success"]["count"]

    rows, requests = counted()
    caller.call(asked("density", bundles.example("density", 3)))
    both.client().infer("density", bundles.example("density", 2))
    assert counted() == (rows + 5, requests + 2)
    told = both.client().ask("GET", "/metrics")[1].decode()
    assert 'darkroom_requests_total{method="gRPC",route="ModelInfer",status="OK"}' in told


def test_a_challenger_answers_the_calls_of_those_it_is_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    champion, challenger = target("1"), target("2")
    StateFile().write(State({"m": champion}, {"m": challenger}, on_trial=("m",), complete=True))
    canary = {
        "requests": 99,
        "agreement": 0.9,
        "failures": 0.0,
        "latency": None,
        "steps": [50],
        "key": "x-user",
    }
    with (
        Server(tmp_path, worker={"canaries": {"m": canary}, "grpc_port": 0}) as server,
        Caller(server.address["grpc_port"]) as caller,
    ):

        def versions_of(user: str, **more: str) -> set[str]:
            request, metadata = asked("m", bundles.example("classification", 1), **more), [("x-user", user)]
            return {caller.call(request, metadata=metadata).model_version for _ in range(4)}

        limit = time.monotonic() + 20
        while "2" not in {version for n in range(8) for version in versions_of(f"user {n}")}:
            assert time.monotonic() < limit
        found = [versions_of(f"user {n}") for n in range(8)]
        assert {"1"} in found and {"2"} in found and {"1", "2"} not in found
        assert {version for n in range(8) for version in versions_of(f"user {n}", model_version="1")} == {"1"}


def test_a_challenger_is_tried_on_calls_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    champion, challenger = target("1"), target("2", mark=1)
    StateFile().write(State({"m": champion}, {"m": challenger}, complete=True))
    settings = {"shadow": 1.0, "grpc_port": 0}
    with Server(tmp_path, worker=settings) as server, Caller(server.address["grpc_port"]) as caller:
        for seed in range(5):
            answer = caller.call(asked("m", bundles.example("classification", 1, seed)))
            assert answer.model_version == "1" and outputs(answer)["probabilities"][0, 1] == 0
        limit = time.monotonic() + 20
        while not (found := tried.shadow_records("m")) or found[0].agreed < 5:
            assert time.monotonic() < limit, found
            time.sleep(0.05)
