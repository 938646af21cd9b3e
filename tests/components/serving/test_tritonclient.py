"""The standard client of the protocol works unchanged: every signature here, every family in the slow suite."""

from __future__ import annotations

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.components.serving import bundles


@pytest.fixture
def standard(every_kind):
    with triton.InferenceServerClient(f"127.0.0.1:{every_kind.port}") as client:
        yield client


def ask(client, name: str, given: dict[str, np.ndarray], *, binary: bool = True, **options):
    """Ask for every output of the metadata and return them by name."""
    metadata = client.get_model_metadata(name)
    inputs = []
    for tensor in metadata["inputs"]:
        values = given[tensor["name"]]
        inputs.append(triton.InferInput(tensor["name"], list(values.shape), np_to_triton_dtype(values.dtype)))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    outputs = [triton.InferRequestedOutput(t["name"], binary_data=binary) for t in metadata["outputs"]]
    result = client.infer(name, inputs, outputs=outputs, **options)
    return {tensor["name"]: result.as_numpy(tensor["name"]) for tensor in metadata["outputs"]}


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("kind", bundles.SIGNATURES)
def test_every_signature(standard, kind, binary):
    given = bundles.example(kind, 3, seed=2)
    answers = ask(standard, kind, given, binary=binary, model_version="1", request_id="r")
    for name, expected in bundles.answers(kind, given).items():
        if expected.dtype == object:  # bytes in binary, text in JSON
            found = [text.decode() if isinstance(text, bytes) else text for text in answers[name]]
            assert found == expected.tolist()
        else:
            np.testing.assert_allclose(answers[name], expected, rtol=1e-6)
            assert answers[name].dtype == expected.dtype


def test_outputs_that_are_not_named(standard):
    values = bundles.example("density", 2)["image"]
    tensor = triton.InferInput("image", list(values.shape), "UINT8")
    tensor.set_data_from_numpy(values)
    result = standard.infer("density", [tensor])
    expected = bundles.answers("density", {"image": values})
    np.testing.assert_array_equal(result.as_numpy("log_likelihood"), expected["log_likelihood"])
    assert result.get_response()["model_version"] == "1"


def test_asynchronous_requests(standard):
    given = [bundles.example("classification", 1, seed=seed) for seed in range(8)]
    waiting = []
    for one in given:
        tensor = triton.InferInput("image", [1, 4, 4, 1], "UINT8")
        tensor.set_data_from_numpy(one["image"])
        waiting.append(standard.async_infer("classification", [tensor]))
    for one, request in zip(given, waiting, strict=True):
        answer = request.get_result().as_numpy("probabilities")
        np.testing.assert_array_equal(answer, bundles.answers("classification", one)["probabilities"])


def test_everything_else(standard):
    assert standard.is_server_live() and standard.is_server_ready() and standard.is_model_ready("density")
    assert not standard.is_model_ready("nothing")
    assert standard.get_server_metadata()["name"] == "darkroom"
    assert standard.get_model_config("density")["backend"] == "onnxruntime"
    assert {entry["name"] for entry in standard.get_model_repository_index()} == set(bundles.SIGNATURES)
    standard.unload_model("translation")
    assert not standard.is_model_ready("translation")
    standard.load_model("translation")
    assert standard.is_model_ready("translation")
    (statistics,) = standard.get_inference_statistics("density")["model_stats"]
    assert statistics["inference_stats"]["success"]["count"] >= 0
    with pytest.raises(InferenceServerException, match="no model 'nothing'"):
        standard.get_model_metadata("nothing")
