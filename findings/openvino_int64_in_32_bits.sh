#!/usr/bin/env bash
# Guess: OpenVINO's CPU device computes an ONNX graph's int64 as int64, or refuses it: the model says INT64, and so does
# the output's type; onnxruntime computes it so.
# Seen (OpenVINO 2026.4.1, CPU): the output is int64, its values are those of 32 bits, and nothing is said, already of a
# graph of one Identity. It is not one rule either: an input above 2^31 wraps round, a constant of the graph above it is
# cut off at the nearest value of 32 bits, and a Cast of the same input to float32 is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    "openvino==2026.4.1" "onnx==1.23.2" "onnxruntime==1.32.0" "numpy==2.4.6" 2>pip.txt || { cat pip.txt; exit 1; }
cat > graphs.py <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper

VALUES = np.array([2**31, 2**40 + 5, -3], np.int64)


def compare(name, node, output, constants=()):
    tensors = [helper.make_tensor(key, TensorProto.INT64, [1], [value]) for key, value in constants]
    ends = [helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])], [
        helper.make_tensor_value_info("y", output, ["n"])
    ]
    graph = helper.make_graph([node], name, *ends, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, f"{name}.onnx")
    right = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"]).run(None, {"x": VALUES})[0]
    found = openvino.Core().compile_model(f"{name}.onnx", "CPU")(VALUES)[0]
    print(name, right.tolist(), found.tolist(), found.dtype)


compare("identity", helper.make_node("Identity", ["x"], ["y"]), TensorProto.INT64)
compare("constant", helper.make_node("Max", ["x", "k"], ["y"]), TensorProto.INT64, [("k", 2**41)])
compare("cast", helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT), TensorProto.FLOAT)
PYTHON
venv/bin/python graphs.py > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
identity [2147483648, 1099511627781, -3] [-2147483648, 5, -3] int64
constant [2199023255552, 2199023255552, 2199023255552] [2147483647, 2147483647, 2147483647] int64
cast [2147483648.0, 1099511627776.0, -3.0] [2147483648.0, 1099511627776.0, -3.0] float32
SEEN
