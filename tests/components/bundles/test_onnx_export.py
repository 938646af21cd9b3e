"""The exported graph: weights lie where they are used, and the same module gives the same bytes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import quantize_dynamic
from torch import Tensor, nn
from torch.nn import functional

from components.bundles import onnx_export
from components.bundles.signature import Tensor as Signature

INPUTS = [Signature("image", "float32", (-1, 4))]
OUTPUTS = [Signature("answer", "float32", (-1, 4))]


class Rounds(nn.Module):
    """A layer before a loop, one in it, and one that both use."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.inside, self.both = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, image: Tensor) -> Tensor:
        def step(number: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            return number + 1, torch.tanh(self.both(self.inside(x)))

        state = torch.zeros((), dtype=torch.int64), self.both(self.before(image))
        if torch.compiler.is_exporting():
            return torch.while_loop(lambda number, _: number < 3, step, state)[1]
        for _ in range(3):
            state = step(*state)
        return state[1]


@pytest.fixture(scope="module")
def module() -> Rounds:
    torch.manual_seed(0)
    return Rounds().eval()


@pytest.fixture(scope="module")
def content(module) -> bytes:
    return onnx_export.convert(module, INPUTS, OUTPUTS, {"image": np.zeros((2, 4), np.float32)})


def test_what_only_a_loop_uses_is_inside_it(content, module):
    graph = onnx.load_model_from_string(content).graph
    (loop,) = [node for node in graph.node if node.op_type == "Loop"]
    (body,) = [attribute.g for attribute in loop.attribute if attribute.name == "body"]
    inside, outside = ([onnx.numpy_helper.to_array(t) for t in g.initializer] for g in (body, graph))

    def held(weight: Tensor, arrays: list[np.ndarray]) -> bool:
        return any(array.shape == (4,) and np.array_equal(array, weight.detach()) for array in arrays)

    assert held(module.inside.bias, inside)
    assert not held(module.inside.bias, outside)
    assert held(module.before.bias, outside)
    assert held(module.both.bias, outside)


def test_the_graph_is_valid_and_agrees(content, module):
    onnx.checker.check_model(onnx.load_model_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        x = torch.randn(count, 4)
        with torch.no_grad():
            expected = module(x).numpy()
        np.testing.assert_allclose(session.run(None, {"image": x.numpy()})[0], expected, atol=1e-6)


def test_the_least_runtime_is_the_one_that_is_stated(content):
    """ONNX Runtime 1.18 is the first that reads IR 10 (docs/reference/bundle.md)."""
    model = onnx.load_model_from_string(content)
    assert model.ir_version == 10
    assert {imported.domain: imported.version for imported in model.opset_import} == {"": onnx_export.OPSET}


def test_linear_layers_can_be_quantized(tmp_path):
    """By ONNX Runtime's own tool, whose weights of eight bits answer nearly alike."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    inputs = [Signature("input", "float32", (-1, 4))]
    content = onnx_export.convert(layers, inputs, OUTPUTS, {"input": np.zeros((2, 4), np.float32)})
    (tmp_path / "model.onnx").write_bytes(content)
    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "quantized.onnx")
    kinds = {node.op_type for node in onnx.load_model(tmp_path / "quantized.onnx").graph.node}
    assert "MatMulInteger" in kinds
    session = onnxruntime.InferenceSession(tmp_path / "quantized.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(5, 4)
    with torch.no_grad():
        expected = layers(x).numpy()
    np.testing.assert_allclose(session.run(None, {"input": x.numpy()})[0], expected, atol=0.02)


class Residual(nn.Module):
    """A sum that is normalised, in two layers that must not become one."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, image: Tensor) -> Tensor:
        return self.norm(image + functional.gelu(self.linear(image))) + image


def test_a_sum_and_its_norm_stay_two_operations(tmp_path):
    module, x = Residual().eval(), torch.randn(3, 4)
    content = onnx_export.convert(module, INPUTS, OUTPUTS, {"image": np.zeros((2, 4), np.float32)})
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimised.onnx"), 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        np.testing.assert_allclose(session.run(None, {"image": x.numpy()})[0], module(x).numpy(), atol=1e-6)
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert "LayerNormalization" in kinds and "SkipLayerNormalization" not in kinds, kinds
    assert "Erf" not in kinds, kinds


def test_the_same_module_gives_the_same_bytes(content, module):
    again = onnx_export.convert(module, INPUTS, OUTPUTS, {"image": np.ones((2, 4), np.float32)})
    assert again == content
