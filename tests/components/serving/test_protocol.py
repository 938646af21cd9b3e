"""The Open Inference Protocol (V2) over HTTP, as its text has it, and what a client's mistakes are answered with."""

from __future__ import annotations

import json
import socket

import numpy as np
import pytest

from components.serving.http.messages import Request
from components.serving.request_error import Reason, RequestError
from components.serving.routes import inference
from components.serving.v2.infer_request import InferRequestCache
from tests.components.serving import bundles
from tests.components.serving.server import DATATYPES, binary

INFER = "/v2/models/classification/infer"


def listed(given: dict[str, np.ndarray]) -> list[dict]:
    return [
        {
            "name": n,
            "datatype": DATATYPES[v.dtype.name],
            "shape": list(v.shape),
            "data": v.reshape(-1).tolist(),
        }
        for n, v in given.items()
    ]


def test_server_and_health(client):
    told = client.get("/v2")
    assert told["name"] == "darkroom" and "binary_tensor_data" in told["extensions"]
    assert client.get("/v2/health/live") == {"live": True}
    assert client.get("/v2/health/ready") == {"ready": True}
    for path in ("/v2/models/density/ready", "/v2/models/density/versions/1/ready"):
        assert client.get(path) == {"name": "density", "ready": True}


def test_paths_are_decoded_segment_by_segment(client):
    assert client.get("/v2/m%6Fdels/d%65nsity/ready") == {"name": "density", "ready": True}


def test_metadata(client):
    assert client.get("/v2/models/density/versions/1") == client.get("/v2/models/density")
    told = client.get("/v2/models/density")
    assert (told["name"], told["versions"], told["platform"]) == ("density", ["1"], "onnxruntime_onnx")
    assert told["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 4, 4, 1]}]
    assert told["outputs"] == [
        {"name": "log_likelihood", "datatype": "FP32", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
    ]
    assert client.get("/v2/models/density/config")["max_batch_size"] == 64
    assert client.get("/v2/models/generation/config")["max_batch_size"] == 0


@pytest.mark.parametrize("kind", bundles.SIGNATURES)
def test_json_and_binary_tensors_give_the_same_right_answer(client, kind):
    given = bundles.example(kind, 3, seed=1)
    expected = bundles.answers(kind, given)
    version, outputs = client.infer(kind, given)
    answer = client.post(f"/v2/models/{kind}/versions/1/infer", {"id": "7", "inputs": listed(given)})
    assert (answer["model_name"], answer["model_version"], answer["id"], version) == (kind, "1", "7", "1")
    assert [output["name"] for output in answer["outputs"]] == list(expected)
    for output in answer["outputs"]:
        wanted = expected[output["name"]]
        assert output["shape"] == list(wanted.shape)
        for values in (outputs[output["name"]], np.reshape(output["data"], wanted.shape)):
            if wanted.dtype == object:
                np.testing.assert_array_equal(values, wanted)
            else:
                np.testing.assert_allclose(values, wanted, rtol=1e-6)


def test_outputs_as_asked_for(client):
    given = bundles.example("density", 2)
    body = {"inputs": listed(given), "outputs": [{"name": "probabilities"}]}
    assert [o["name"] for o in client.post("/v2/models/density/infer", body)["outputs"]] == ["probabilities"]
    # One output raw, the other as JSON; the inputs as JSON.
    body["outputs"] = [
        {"name": "probabilities", "parameters": {"binary_data": True}},
        {"name": "log_likelihood"},
    ]
    _, answer, headers = client.ask("POST", "/v2/models/density/infer", body)
    length = int(headers["Inference-Header-Content-Length"])
    raw, plain = json.loads(answer[:length])["outputs"]
    expected = bundles.answers("density", given)
    assert raw["parameters"] == {"binary_data_size": len(answer) - length} and "data" not in raw
    np.testing.assert_array_equal(
        np.frombuffer(answer[length:], np.float32), expected["probabilities"].reshape(-1)
    )
    np.testing.assert_array_equal(plain["data"], expected["log_likelihood"])


def test_statistics_count_truly(client):
    before = client.get("/v2/models/translation/stats")["model_stats"][0]
    for rows in (1, 3):
        client.infer("translation", bundles.example("translation", rows))
    client.ask("POST", "/v2/models/translation/infer", {"inputs": []})  # refused: no inference
    after = client.get("/v2/models/translation/versions/1/stats")["model_stats"][0]
    assert after["inference_count"] - before["inference_count"] == 4
    assert after["execution_count"] - before["execution_count"] == 2
    success = after["inference_stats"]["success"], before["inference_stats"]["success"]
    assert success[0]["count"] - success[1]["count"] == 2 and success[0]["ns"] > success[1]["ns"]
    assert after["inference_stats"]["fail"]["count"] == before["inference_stats"]["fail"]["count"]
    names = [entry["name"] for entry in client.get("/v2/models/stats")["model_stats"]]
    assert names == sorted(bundles.SIGNATURES)


def test_repository_index_unload_and_load(client):
    index = client.ask("POST", "/v2/repository/index")[1]
    assert {entry["name"]: entry["state"] for entry in json.loads(index)} == dict.fromkeys(
        bundles.SIGNATURES, "READY"
    )
    assert client.post("/v2/repository/models/density/unload")["state"] == "UNAVAILABLE"
    status, answer, _ = client.ask("GET", "/v2/models/density/ready")
    assert (status, json.loads(answer)) == (404, {"error": "density: was unloaded"})
    ready = [entry["name"] for entry in client.post("/v2/repository/index", {"ready": True})]
    assert "density" not in ready and len(ready) == len(bundles.SIGNATURES) - 1
    assert client.post("/v2/repository/models/density/load")["state"] == "READY"
    assert client.get("/v2/models/density/ready")["ready"]
    assert client.ask("POST", "/v2/repository/models/nothing/load")[0] == 404
    assert client.ask("POST", "/v2/repository/models/nothing/unload")[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("index", {"ready": "true"}, "ready is true or false, not 'true'"),
        (
            "models/density/unload",
            {"parameters": {"unload_dependents": "false"}},
            "unload_dependents is true or",
        ),
        ("models/density/unload", {"parameters": []}, "'parameters' is a JSON object"),
        ("models/density/load", {"parameters": {"config": "{}"}}, "parameters.config is not supported"),
        (
            "models/density/load",
            {"parameters": {"file:1/model.onnx": "AA=="}},
            "parameters.file:1/model.onnx is",
        ),
        ("models/density/load", b"[]", "the request is a JSON object"),
    ],
)
def test_what_the_repository_does_not_do_is_told_and_changes_nothing(client, path, body, told):
    status, answer, _ = client.ask("POST", f"/v2/repository/{path}", body)
    assert status == 400 and told in json.loads(answer)["error"]
    assert client.get("/v2/models/density/ready")["ready"]


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", "/nowhere", 404, "no such path"),
        ("GET", "/v2/", 404, "no such path"),
        ("GET", "/v2/models//ready", 404, "no such path"),
        ("GET", INFER, 405, "answers POST only"),
        ("PUT", INFER, 405, "answers POST only"),
        ("GET", "/v2/models/nothing", 404, "no model 'nothing'; served: classification, conditional"),
        ("GET", "/v2/models/a%2Fready", 404, "no model 'a/ready'"),
        ("GET", "/v2/models/density%2Fready", 404, "no model 'density/ready'"),
        ("GET", "/v2%2Fhealth/live", 404, "/v2%2Fhealth/live: no such path"),
        ("GET", "/page/..%2Findex.html", 404, "no such file"),
        ("GET", "/v2/models/density/versions/2", 404, "version 2 is not served; version 1 is"),
        ("GET", "/v2/models/density/versions/x/stats", 404, "version x is not served"),
    ],
)
def test_paths_that_are_not_there(client, method, path, status, told):
    got, body, headers = client.ask(method, path)
    assert got == status and told in json.loads(body)["error"]
    assert headers["content-type"] == "application/json" and headers["x-request-id"]


IMAGE = {"name": "image", "datatype": "UINT8", "shape": [1, 4, 4, 1], "data": [0] * 16}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not valid JSON"),
        (b"[]", "a list of 'inputs'"),
        (b'{"inputs": {}}', "a list of 'inputs'"),
        (b'{"inputs": [NaN]}', "not valid JSON"),
        ({"inputs": [1]}, "each input is a JSON object"),
        ({"inputs": []}, "the inputs are image, not none"),
        ({"inputs": [IMAGE, IMAGE]}, "given twice"),
        ({"inputs": [IMAGE | {"name": "picture"}]}, "the inputs are image, not picture"),
        ({"inputs": [IMAGE | {"datatype": "FP32"}]}, r"is uint8 [-1, 4, 4, 1] (-1: any), not float32"),
        ({"inputs": [IMAGE | {"shape": [16]}]}, "not uint8 [16]"),
        ({"inputs": [IMAGE | {"shape": [0, 4, 4, 1], "data": []}]}, "is empty"),
        (
            {"inputs": [IMAGE | {"shape": [300, 4, 4, 1], "data": [0] * 4800}]},
            "300 rows in one request; at most 256",
        ),
        ({"inputs": [IMAGE | {"shape": "x"}]}, "shape must be a list"),
        ({"inputs": [IMAGE | {"shape": [-1, 4, 4, 1]}]}, "lengths are whole numbers"),
        ({"inputs": [IMAGE | {"parameters": 1}]}, "'parameters' is a JSON object"),
        (
            {"inputs": [IMAGE | {"parameters": {"shared_memory_region": "x"}}]},
            "shared_memory_region is not supported",
        ),
        ({"inputs": [IMAGE], "outputs": [{"name": "logits"}]}, "no output 'logits': probabilities"),
        ({"inputs": [IMAGE], "outputs": 3}, "'outputs' is a list"),
        ({"inputs": [IMAGE], "parameters": {"timeout": "soon"}}, "timeout: microseconds"),
        ({"inputs": [IMAGE], "parameters": {"sequence_id": 3}}, "sequence_id is not supported"),
        (
            {"inputs": [IMAGE], "parameters": {"binary_data_output": "false"}},
            "binary_data_output is true or false, not 'false'",
        ),
        (
            {"inputs": [IMAGE], "outputs": [{"name": "probabilities", "parameters": {"binary_data": 1}}]},
            "output 'probabilities': binary_data is true or false, not 1",
        ),
    ],
)
def test_requests_that_cannot_be(client, body, told):
    status, answer, _ = client.ask("POST", INFER, body)
    assert status == 400 and told in json.loads(answer)["error"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("count", 0, "at least 1"),
        ("count", -5, "at least 1"),
        ("count", 10**12, "at most 256"),
        ("label", 3, "from 0 to 2, or -1"),
        ("label", -2, "from 0 to 2, or -1"),
    ],
)
def test_generators_are_not_asked_for_the_impossible(client, name, value, told):
    given = bundles.example("conditional", 2) | {name: np.array([value])}
    status, answer, _ = client.ask("POST", "/v2/models/conditional/infer", {"inputs": listed(given)})
    assert status == 400 and told in json.loads(answer)["error"]


def test_words_a_model_does_not_know_are_read_as_unknown_and_those_beyond_its_longest_left_out(client):
    texts = ["a bar", "  a   bar ", "a bar x", "a bar ring dot", "A bar", "a\tbar", "", "ä ☃"]
    given = {"prompt": np.array(texts, dtype=object), "seed": np.array([0])}
    _, outputs = client.infer("text_to_image", given)
    levels = outputs["image"][:, 0, 0, 0].astype(int) - np.arange(len(texts))
    a, bar, ring, unknown = 2, 3, 6, 1
    known = [a + 8 * bar, a + 8 * bar, a + 8 * bar + 64 * unknown, a + 8 * bar + 64 * ring]
    assert levels.tolist() == [
        *(n % 251 for n in known),
        unknown + 8 * bar,
        unknown,
        0,
        unknown + 8 * unknown,
    ]


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (["x" * 1001], "a text of 1001 characters; at most 1000"),
        (["a"] * 257, "257 rows in one request; at most 256"),
        ([], "is empty"),
        ([["a"]], "'prompt' is string [-1] (-1: any), not string [1, 1]"),
    ],
)
def test_prompts_that_are_too_much(client, prompt, told):
    given = {"prompt": np.array(prompt, dtype=object), "seed": np.array([0])}
    status, answer, _ = client.ask("POST", "/v2/models/text_to_image/infer", *binary(given))
    assert status == 400 and told in json.loads(answer)["error"]


def test_a_prompt_that_is_no_text(client):
    seed = {"name": "seed", "datatype": "INT64", "shape": [1], "data": [0]}
    for prompt, told in (
        ({"datatype": "INT64", "data": [7]}, "'prompt' is string [-1] (-1: any), not int64 [1]"),
        ({"datatype": "BYTES", "data": [7]}, "BYTES are strings in JSON"),
    ):
        body = {"inputs": [{"name": "prompt", "shape": [1], **prompt}, seed]}
        status, answer, _ = client.ask("POST", "/v2/models/text_to_image/infer", body)
        assert status == 400 and told in json.loads(answer)["error"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_are_refused(client, value):
    given = bundles.example("reenactment", 2)
    given["landmarks"][1, 3, 0] = value
    status, answer, _ = client.ask("POST", "/v2/models/reenactment/infer", *binary(given))
    assert status == 400 and "'landmarks': holds NaN or an infinity" in json.loads(answer)["error"]


def test_inputs_that_disagree_in_rows(client):
    given = bundles.example("reenactment", 2) | {"landmarks": np.zeros((3, 5, 2), np.float32)}
    status, answer, _ = client.ask("POST", "/v2/models/reenactment/infer", *binary(given))
    assert status == 400 and "2 rows where another has 3" in json.loads(answer)["error"]


@pytest.mark.parametrize("header", ["x", "-1", "99999999", "1_0", "١"])
def test_a_header_length_that_is_none(client, header):
    body, headers = binary(bundles.example("classification", 1))
    headers["Inference-Header-Content-Length"] = header.encode().decode("latin-1")
    status, answer, _ = client.ask("POST", INFER, body, headers)
    assert status == 400 and "Inference-Header-Content-Length" in json.loads(answer)["error"]


def test_bytes_left_over_and_bytes_missing(client):
    body, headers = binary(bundles.example("classification", 1))
    for changed, found in ((body + b"x", 17), (body[:-1], 15)):
        status, answer, _ = client.ask("POST", INFER, changed, headers)
        told = f"{found} bytes behind the JSON; its tensors have 16"
        assert status == 400 and told in json.loads(answer)["error"]


def test_request_ids_are_given_or_made(client):
    assert client.ask("GET", "/v2", headers={"X-Request-Id": "abc-1"})[2]["x-request-id"] == "abc-1"
    made = {
        client.ask("GET", "/v2", headers={"X-Request-Id": bad})[2]["x-request-id"]
        for bad in ("a" * 200, "\x01")
    }
    assert len(made) == 2 and not made & {"a" * 200, "\x01"}


def test_head_has_no_body(client):
    status, body, headers = client.ask("HEAD", "/v2")
    assert (status, body) == (200, b"") and int(headers["content-length"]) > 0


def test_bodies_over_the_limit_are_refused_before_they_are_read(every_kind, client):
    with socket.create_connection(("127.0.0.1", every_kind.port), timeout=10) as connection:
        connection.sendall(
            b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n" % INFER.encode()
        )
        answer = connection.makefile("rb").read()  # the server ends the connection: no body was sent
    assert answer.startswith(b"HTTP/1.1 413 ") and b"at most 1048576" in answer
    status, answer, _ = client.ask("POST", INFER, b"x" * (1 << 20) + b"x")
    assert status == 413


def test_chunked_bodies_are_counted(every_kind):
    head = b"POST %s HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n" % INFER.encode()
    with socket.create_connection(("127.0.0.1", every_kind.port), timeout=10) as connection:
        connection.sendall(head + 3 * (b"80000\r\n" + b"x" * 0x80000 + b"\r\n"))
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 413 ")


def test_much_json_is_refused(monkeypatch):
    monkeypatch.setattr(inference, "MAX_JSON", 100)
    request = Request("POST", "/")
    request.body = b'{"inputs": [' + b" " * 100 + b"]}"
    with pytest.raises(RequestError, match="114 bytes of JSON; at most 100") as refused:
        inference.read(request, InferRequestCache())
    assert refused.value.reason is Reason.TOO_LARGE


def test_names_that_are_no_models_are_not_counted(client):
    for number in range(3):
        assert client.ask("POST", f"/v2/models/x{number}/infer", b"x" * ((1 << 20) + 1))[0] == 413
    counted = client.ask("GET", "/metrics")[1].decode()
    assert 'darkroom_rejected_total{model="",status="413"}' in counted and 'model="x' not in counted


def test_compressed_bodies_are_refused(client):
    status, answer, _ = client.ask("POST", INFER, b"\x1f\x8b", {"Content-Encoding": "gzip"})
    assert status == 415 and "compressed" in json.loads(answer)["error"]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Host": "evil.example"}, "asked by a loopback address only"),
        ({"Origin": "https://evil.example"}, "no pages of other sites"),
        ({"Origin": "null"}, "no pages of other sites"),
    ],
)
def test_strange_web_pages_are_refused_where_there_are_no_tokens(client, headers, told):
    status, answer, _ = client.ask("POST", "/v2/repository/models/density/unload", {}, headers)
    assert status == 403 and told in json.loads(answer)["error"]


def test_own_pages_are_answered(every_kind, client):
    here = f"127.0.0.1:{every_kind.port}"
    assert client.ask("GET", "/v2", headers={"Host": here, "Origin": f"http://{here}"})[0] == 200
