#!/usr/bin/env bash
# Guess: quantising a network's convolutions changes nothing of how its FP32 nodes before them are computed: pixels are
# standardised by a Sub and a Div, channels first, as the graph says.
# Seen (ONNX Runtime 1.31.1): integer convolutions take channels last, and ONNX Runtime moves the graph's own Transpose down to
# them, through the Sub and the Div, which are computed with three channels last. A BatchNormalization that means the same is
# not moved through: there the Transpose stays before it. In FP32 both stay as the graph says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    "onnxruntime==1.31.1" "onnx==1.23.2" "numpy==2.4.6" 2>pip.txt || { cat pip.txt; exit 1; }
cat > layout.py <<'PYTHON'
import logging
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

logging.disable(logging.WARNING)
SIDE = 32
RANDOM = np.random.default_rng(0)


class Pictures(CalibrationDataReader):
    def __init__(self):
        self.left = iter([{"image": RANDOM.integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.uint8)} for _ in range(4)])

    def get_next(self):
        return next(self.left, None)


def constant(name, values):
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def network(standardised_by):
    by_channel = np.reshape([110.0, 115.0, 120.0], (1, 3, 1, 1))
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["first"], perm=[0, 3, 1, 2]),
    ]
    weights = [constant("w", RANDOM.normal(size=(8, 3, 3, 3)) / 5)]
    if standardised_by == "Sub and Div":
        weights += [constant("mean", by_channel), constant("spread", by_channel / 2)]
        nodes += [
            helper.make_node("Sub", ["first", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "spread"], ["x"]),
        ]
    else:
        weights += [constant("one", np.ones(3)), constant("nothing", np.zeros(3))]
        weights += [constant("mean", by_channel.ravel()), constant("variance", (by_channel.ravel() / 2) ** 2)]
        given = ["first", "one", "nothing", "mean", "variance"]
        nodes += [helper.make_node("BatchNormalization", given, ["x"])]
    nodes += [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8, SIDE, SIDE])
    graph = helper.make_graph(nodes, "g", [image], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def order(model, file):
    """Return what stands before and after the first Transpose of the graph that is computed, of FP32 nodes."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = file
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(file).graph.node]
    return " ".join(node for node in nodes if node in ("Sub", "Div", "BatchNormalization", "Transpose"))


for kind in ("Sub and Div", "BatchNormalization"):
    fp32 = network(kind)
    quantize_static(fp32, "int8.onnx", Pictures(), op_types_to_quantize=["Conv"], per_channel=True)
    for name, model in (("FP32", fp32), ("INT8", onnx.load("int8.onnx"))):
        print(f"{kind}, {name}:", order(model, "optimized.onnx"))
PYTHON
venv/bin/python layout.py 2>/dev/null > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
Sub and Div, FP32: Transpose Sub Div
Sub and Div, INT8: Sub Div Transpose
BatchNormalization, FP32: Transpose BatchNormalization
BatchNormalization, INT8: Transpose BatchNormalization Transpose Transpose
SEEN
