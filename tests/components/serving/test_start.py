"""What a process of the server imports: each starts in the time that its imports take."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = {
    "torch",
    "grpc",
    "mlflow",
    "prefect",
    "dvc",
    "great_expectations",
    "pandas",
    "sklearn",
    "matplotlib",
    "pyarrow",
}


@pytest.mark.parametrize(
    ("module", "more"),
    [("worker", set()), ("supervisor", {"onnx", "onnxruntime", "numpy"}), ("follower", {"torch"})],
)
def test_imports(module, more):
    script = (
        f"import components.serving.{module}, sys; print(sorted({{n.split('.')[0] for n in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = set(ast.literal_eval(done.stdout))
    assert not imported & ((HEAVY if module != "follower" else set()) | more)
