"""Graphs of integers: what stays in FP32 is named, and the standardisation of pixels means what it meant."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from components.variants import int8

RANDOM = np.random.default_rng(0)
MEAN, SPREAD = (
    np.array(values, np.float32).reshape(1, 3, 1, 1) for values in ([0.4, 0.5, 0.6], [0.2, 0.3, 0.25])
)


def graph() -> bytes:
    """Return pixels that are standardised, two convolutions with a sum between, and a linear layer."""
    nodes = [
        ("Transpose", ["image"], "turned", {"perm": [0, 3, 1, 2]}),
        ("Cast", ["turned"], "pixels", {"to": TensorProto.FLOAT}),
        ("Div", ["pixels", "levels"], "unit", {}),
        ("Sub", ["unit", "mean"], "shifted", {}),
        ("Div", ["shifted", "spread"], "standard", {}),
        ("Conv", ["standard", "first"], "a", {"pads": [1, 1, 1, 1]}),
        ("Relu", ["a"], "b", {}),
        ("Conv", ["b", "second"], "c", {"pads": [1, 1, 1, 1]}),
        ("Add", ["b", "c"], "d", {}),
        ("GlobalAveragePool", ["d"], "e", {}),
        ("Flatten", ["e"], "f", {}),
        ("Gemm", ["f", "linear"], "answer", {"transB": 1}),
    ]
    constants = {
        "levels": np.float32(255),
        "mean": MEAN,
        "spread": SPREAD,
        "first": RANDOM.normal(size=(8, 3, 3, 3)).astype(np.float32) / 5,
        "second": RANDOM.normal(size=(8, 8, 3, 3)).astype(np.float32) / 8,
        "linear": RANDOM.normal(size=(4, 8)).astype(np.float32),
    }
    made = helper.make_graph(
        [helper.make_node(op, given, [out], f"node_{out}", **more) for op, given, out, more in nodes],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 16, 16, 3])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    ).SerializeToString()


GRAPH = graph()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return RANDOM.integers(0, 256, (16, 16, 16, 3)).astype(np.uint8)


def answer(content: bytes, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


def test_integers_answer_nearly_as_fp32_does(images):
    made = int8.quantise(GRAPH, [{"image": images}])
    ours, theirs = answer(made.graph, images), answer(GRAPH, images)
    assert made.kept == [] and made.products == 3
    assert 0 < np.abs(ours - theirs).max() < 0.1 * np.abs(theirs).max()


def test_what_is_left_in_fp32_is_named(images):
    made = int8.quantise(GRAPH, [{"image": images}], left=["node_a"])
    assert made.kept == ["node_a"]


def test_pixels_are_standardised_as_before_and_channels_stay_where_they_are(images):
    made = onnx.load_model_from_string(int8.quantise(GRAPH, [{"image": images}], left=["node_a"]).graph)
    operations = [node.op_type for node in made.graph.node]
    assert "BatchNormalization" in operations and "Sub" not in operations and operations.count("Div") == 1
    (place,) = [n for n, node in enumerate(made.graph.node) if node.op_type == "BatchNormalization"]
    made.graph.node[place].output[0] = "standardised"
    del made.graph.node[place + 1 :]
    del made.graph.output[:]
    made.graph.output.append(
        helper.make_tensor_value_info("standardised", TensorProto.FLOAT, ["n", 3, 16, 16])
    )
    expected = (images.transpose(0, 3, 1, 2) / np.float32(255) - MEAN) / SPREAD
    np.testing.assert_allclose(answer(made.SerializeToString(), images), expected, atol=1e-5)
