"""With a new account: nothing appears in the home folder and nothing is reported, whichever way a program starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import telemetry
from tests.components.serving import bundles
from tests.components.serving.server import Server
from tests.newcomer import Newcomer

ROOT = Path(__file__).parents[2]
SESSION = """
import sys
from pathlib import Path
from components.bundles.bundle import Bundle
bundle = Bundle.open(Path(sys.argv[1]))
bundle.check_golden()
"""
RUNTIME = """
import runpy, sys
name = sys.argv[1]
try:
    runpy.run_module(name, run_name="__main__", alter_sys=True)
except SystemExit as ended:
    assert ended.code, ended.code
assert "onnxruntime" in sys.modules
"""


@pytest.fixture
def newcomer(tmp_path) -> Newcomer:
    return Newcomer(tmp_path / "account", os.environ)


@pytest.fixture
def bundle(tmp_path) -> Path:
    bundles.write(tmp_path / "bundle", "classification")
    return tmp_path / "bundle"


def run(newcomer: Newcomer, *command: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=newcomer.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_what_is_watched_for_happens_without_the_setting(newcomer):
    """A runtime that kept no store would let all other tests of this file pass."""
    run(newcomer, "-c", "import onnxruntime")
    assert newcomer.written()


def test_a_connection_would_be_seen(newcomer):
    script = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9))"
    )
    run(newcomer, "-c", script)
    assert len(newcomer.connections()) == 1


def test_a_session(newcomer, bundle):
    run(newcomer, "-c", SESSION, bundle)
    assert (newcomer.written(), newcomer.connections()) == (set(), [])


def test_a_stage_that_loads_the_runtime(newcomer):
    """It ends at once, as no model was named, with all of its imports done."""
    run(newcomer, "-c", RUNTIME, "components.export")
    assert (newcomer.written(), newcomer.connections()) == (set(), [])


def test_a_worker_of_the_server(newcomer, bundle, tmp_path, monkeypatch):
    for name in telemetry.OFF:
        monkeypatch.delenv(name, raising=False)
    for name, value in newcomer.environment.items():
        monkeypatch.setenv(name, value)
    with Server(tmp_path, worker={"bundles": {"m": str(bundle)}}) as server:
        client = server.client()
        client.infer("m", {"image": np.zeros((1, 4, 4, 1), np.uint8)})
        client.close()
    assert (newcomer.written(), newcomer.connections()) == (set(), [])


def test_the_example_for_users(newcomer, bundle, tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "picture.png")
    run(newcomer, "docs/examples/read_bundle.py", bundle, tmp_path / "picture.png")
    assert (newcomer.written(), newcomer.connections()) == (set(), [])


def test_the_makefile_says_the_same():
    exports = dict(re.findall(r"^export (\w+) := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert exports == telemetry.OFF


def test_a_user_s_own_setting_stays(newcomer, tmp_path):
    newcomer.environment["ORT_DISABLE_TELEMETRY"] = "0"
    script = "import os, sys, components; open(sys.argv[1], 'w').write(os.environ['ORT_DISABLE_TELEMETRY'])"
    run(newcomer, "-c", script, tmp_path / "seen")
    assert (tmp_path / "seen").read_text() == "0"
