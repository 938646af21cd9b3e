#!/usr/bin/env bash
# Guess: safetensors.numpy writes any NumPy array right, or raises: its twin for PyTorch refuses a tensor that is not
# contiguous, and releases 0.4 to 0.7 copied such arrays.
# Seen: safetensors 0.8.0 writes the memory of a transposed array as it lies. The file has the right shape and other
# values, and nothing is raised or said. 0.7.0 writes the right values. (0.8.0's docstring asks for contiguous arrays.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > round_trip.py <<'PYTHON'
import numpy as np
from safetensors.numpy import load, save

array = np.arange(6, dtype=np.int32).reshape(2, 3).T
read = load(save({"array": array}))["array"]
assert read.shape == array.shape
print("equal" if (read == array).all() else f"{array.tolist()} became {read.tolist()}")
PYTHON
round_trip() {
    python3 -m venv "venv-$1"
    "venv-$1/bin/pip" install --quiet --disable-pip-version-check "safetensors==$1" "numpy==2.4.6"
    "venv-$1/bin/python" round_trip.py
}
old=$(round_trip 0.7.0)
new=$(round_trip 0.8.0)
echo "safetensors 0.7.0: $old"
echo "safetensors 0.8.0: $new"
[ "$old" = equal ] && [ "$new" = "[[0, 3], [1, 4], [2, 5]] became [[0, 1], [2, 3], [4, 5]]" ]
