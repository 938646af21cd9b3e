"""The precision in which a model answers: as its settings say, where the version has it; answers say which it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from components.bundles.bundle import DESCRIPTION, GOLDEN, MODEL, VARIANT_GOLDEN, VARIANT_MODEL
from data import atomic
from tests.components.serving import bundles
from tests.components.serving.server import Server

FP32, INT8 = 3, 5
"""What shows in the answers of the two graphs."""


def write(folder: Path, tolerance: float = 0.1) -> str:
    """Write a bundle with a variant, whose answers differ from FP32's; return its folder."""
    bundles.write(folder, mark=FP32)
    bundles.write(folder.with_name("variant"), mark=INT8)
    values = json.loads((folder / DESCRIPTION).read_text())
    for source, file in ((MODEL, VARIANT_MODEL), (GOLDEN, VARIANT_GOLDEN)):
        content = (folder.with_name("variant") / source).read_bytes()
        atomic.write_bytes(folder / file.format("int8"), content)
        values["sha256"][file.format("int8")] = hashlib.sha256(content).hexdigest()
    tolerances = {"probabilities": {"absolute": tolerance}}
    values["variants"] = {"int8": {"accepted": True, "tolerances": tolerances, "tries": []}}
    atomic.write_json(folder / DESCRIPTION, values)
    return str(folder)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("precision")
    plain = folder / "plain"
    bundles.write(plain, mark=FP32)
    asked = {"precision": "int8"}
    settings = {
        "bundles": {"fast": write(folder / "fast"), "exact": write(folder / "exact"), "plain": str(plain)},
        "models": {"fast": asked, "plain": asked},
        "grpc_port": 0,
    }
    with Server(folder, worker=settings) as started:
        yield started


def infer(server: Server, name: str) -> tuple[float, dict]:
    image = bundles.example("classification", 2)["image"]
    tensor = {"name": "image", "datatype": "UINT8", "shape": [2, 4, 4, 1], "data": image.reshape(-1).tolist()}
    answer = server.client().post(f"/v2/models/{name}/infer", {"inputs": [tensor]})
    return np.reshape(answer["outputs"][0]["data"], (2, 3))[0, 1], answer


@pytest.mark.parametrize(("name", "mark", "precision"), [("fast", INT8, "int8"), ("exact", FP32, "fp32")])
def test_the_setting_decides_and_every_answer_says(server, name, mark, precision):
    answered, answer = infer(server, name)
    assert answered == mark
    assert answer["parameters"] == {"precision": precision} and answer["model_version"] == "1"
    client = server.client()
    assert client.get(f"/v2/models/{name}")["parameters"]["precision"] == precision
    assert client.get(f"/models/{name}")["precision"] == precision


def test_a_version_without_it_answers_in_fp32_and_the_log_says_so(server):
    answered, answer = infer(server, "plain")
    assert answered == FP32 and "parameters" not in answer
    assert server.client().get("/v2/models/plain")["parameters"]["precision"] == "fp32"
    (told,) = [event for event in server.events() if event.get("event") == "FP32 answers"]
    assert told["model"] == "plain" and told["reason"] == "carries no variant int8: fp32"


def test_grpc_says_it_too(server):
    from tests.components.serving.grpc.client import Caller, asked

    with Caller(server.address["grpc_port"]) as caller:
        for name, precision in (("fast", "int8"), ("exact", "fp32")):
            answer = caller.call(asked(name, bundles.example("classification", 2)))
            assert answer.parameters["precision"].string_param == precision


def test_a_variant_that_answers_otherwise_here_is_refused(tmp_path):
    folder = tmp_path / "wrong"
    write(folder)
    values = json.loads((folder / DESCRIPTION).read_text())
    file = VARIANT_GOLDEN.format("int8")
    atomic.write_bytes(folder / file, (folder / GOLDEN).read_bytes())
    values["sha256"][file] = values["sha256"][GOLDEN]
    atomic.write_json(folder / DESCRIPTION, values)
    settings = {"bundles": {"wrong": str(folder)}, "models": {"wrong": {"precision": "int8"}}}
    with Server(tmp_path, worker=settings) as server:
        (refused,) = server.client().get("/v2/health")["refused"]
    assert "'probabilities' is off by 2" in refused["reason"]
