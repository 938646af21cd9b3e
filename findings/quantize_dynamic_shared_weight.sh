#!/usr/bin/env bash
# Guess: onnxruntime 1.31.1's quantize_dynamic answers nearly as the float graph does, or raises, also where a linear layer's
# weight is used both in the main graph and in the body of a loop.
# Seen: it raises nothing, and the answers are wrong. To make MatMul of Gemm(transB=1) it transposes the weight, which belongs
# to the main graph, in place; in the loop's body the same name is read as if it were still as before. With a weight of 4 x 4
# no shape gives it away. The same layers with a weight of its own for each use answer within .02.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.31.1 2>/dev/null
cat > graphs.py <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

weight = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32) / 2


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def error(inside: str) -> float:
    """The greatest difference between the float and the quantized graph; the loop's layer has the weight `inside`."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["go"]),
            helper.make_node("Gemm", ["state", inside], ["next"], transB=1),
        ],
        "body",
        [value("turn", TensorProto.INT64, []), value("going", TensorProto.BOOL, []), value("state", TensorProto.FLOAT, [None, 4])],
        [value("go", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, [None, 4])],
    )
    weights = {"weight": weight} if inside == "weight" else {"weight": weight, inside: weight}
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    initializers += [numpy_helper.from_array(np.int64(2), "turns"), numpy_helper.from_array(np.bool_(True), "yes")]
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "weight"], ["first"], transB=1),
            helper.make_node("Loop", ["turns", "yes", "first"], ["y"], body=body),
        ],
        "main",
        [value("x", TensorProto.FLOAT, [None, 4])],
        [value("y", TensorProto.FLOAT, [None, 4])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "float.onnx")
    quantize_dynamic("float.onnx", "quantized.onnx")
    x = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32)
    answers = [onnxruntime.InferenceSession(name).run(None, {"x": x})[0] for name in ("float.onnx", "quantized.onnx")]
    return float(abs(answers[0] - answers[1]).max())


own, shared = error("another"), error("weight")
print(f"greatest difference: a weight of its own {own:.3f}, a shared weight {shared:.3f}")
assert own < 0.1 < shared
PYTHON
venv/bin/python graphs.py
