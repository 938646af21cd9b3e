#!/usr/bin/env bash
# Guess: `len(x)` and `x.shape[0]` of a batch are the same to torch.onnx.export with a free batch, or len() is refused.
# Seen (PyTorch 2.14.1): a module that says len(x) is captured twice. The first capture takes the batch for the constant
# of the example and fails, without a word; a second one, by Dynamo, is begun from nothing and succeeds. The graph is
# right and the export takes about twice as long. With x.shape[0] the first capture does. torch.export.export alone, which
# captures once, refuses the module.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    "torch==2.14.1" "onnx==1.23.2" "onnxscript==0.7.2" "numpy==2.4.6" 2>pip.txt || { cat pip.txt; exit 1; }
cat > captures.py <<'PYTHON'
import contextlib
import io

import torch


class ByLength(torch.nn.Module):
    def forward(self, x):
        return x * torch.arange(len(x), device=x.device)[:, None]


class ByShape(torch.nn.Module):
    def forward(self, x):
        return x * torch.arange(x.shape[0], device=x.device)[:, None]


free = {"x": {0: torch.export.Dim.DYNAMIC}}
for module in (ByLength(), ByShape()):
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        torch.onnx.export(module, (torch.ones(3, 2),), dynamic_shapes=free, dynamo=True, verbose=True)
    captures = [line.rpartition(" ")[2] for line in told.getvalue().splitlines() if "Obtain model graph" in line]
    print(type(module).__name__, [mark for mark in captures if mark in "✅❌"])
    try:
        torch.export.export(module, (torch.ones(3, 2),), dynamic_shapes=free)
        print("  torch.export.export: captured")
    except Exception as error:
        print("  torch.export.export:", type(error).__name__)
PYTHON
venv/bin/python captures.py 2>/dev/null > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
ByLength ['❌', '✅']
  torch.export.export: UserError
ByShape ['✅']
  torch.export.export: captured
SEEN
