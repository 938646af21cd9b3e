"""The standard client in an environment of its own, for it wants another protobuf than ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests import needs

CLIENT = "tritonclient[grpc]==2.73.0"


def environment(folder: Path) -> Path:
    """Make the environment and return its Python; without a network the test is skipped."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin/python"
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", CLIENT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    needs.only_where(done.returncode == 0, f"{CLIENT} cannot be installed here: {done.stderr.strip()[-200:]}")
    return python


def ask(
    python: Path, port: int, folder: Path, questions: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Ask each model its question; return what the client tells of the server, and the answers by model."""
    folder.mkdir()
    for model, given in questions.items():
        # As bytes: strings would be saved by pickle.
        np.savez(
            folder / model,
            **{n: np.char.encode(v.astype(str)) if v.dtype == object else v for n, v in given.items()},
        )
    script = Path(__file__).with_name("standard_client.py")
    command = [python, "-E", script, str(port), folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    answers = {model: dict(np.load(folder / f"{model}.out.npz")) for model in questions}
    return json.loads(done.stdout.splitlines()[-1]), answers


def check(answers: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], what: str) -> None:
    """Check one answer; text came as UTF-8."""
    assert answers.keys() == expected.keys(), what
    for name, values in expected.items():
        if values.dtype == object:
            assert [text.decode() for text in answers[name]] == values.tolist(), what
        else:
            assert answers[name].dtype == values.dtype
            np.testing.assert_allclose(answers[name], values, rtol=1e-4, atol=1e-4, err_msg=what)
