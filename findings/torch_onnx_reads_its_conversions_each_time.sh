#!/usr/bin/env bash
# Guess: torch.onnx.export prepares its conversions to ONNX with the first export, and later ones of the process reuse them.
# Seen (PyTorch 2.14.1, onnxscript 0.7.2): every export builds its table of conversions anew. For that it reads the source of
# each of some 500 functions with inspect, parses it and translates its signature, to learn in which domain the function is.
# A module of one operation costs as much as that again with each export of a long-lived process.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    "torch==2.14.1" "onnx==1.23.2" "onnxscript==0.7.2" "numpy==2.4.6" 2>pip.txt || { cat pip.txt; exit 1; }
cat > reads.py <<'PYTHON'
import contextlib
import inspect
import io
import warnings

import torch

warnings.simplefilter("ignore")
read, source = [], inspect.getsource


def counted(of):
    read.append(getattr(of, "__module__", ""))
    return source(of)


inspect.getsource = counted
for number in (1, 2, 3):
    read.clear()
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(torch.nn.ReLU(), (torch.zeros(2, 1),), dynamo=True, verbose=False)
    conversions = sum(name.startswith("onnxscript.function_libs.torch_lib") for name in read)
    print(f"export {number}: reads the source of", "hundreds of conversions" if conversions > 300 else conversions)
PYTHON
venv/bin/python reads.py 2>/dev/null > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
export 1: reads the source of hundreds of conversions
export 2: reads the source of hundreds of conversions
export 3: reads the source of hundreds of conversions
SEEN
