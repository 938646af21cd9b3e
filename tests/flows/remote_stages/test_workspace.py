"""Private workspaces, and what is left of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from flows.remote_stages import workspace


@pytest.fixture(autouse=True)
def _own(tmp_path, monkeypatch):
    monkeypatch.setenv(workspace.VARIABLE, str(tmp_path / "worker"))


def found() -> list[str]:
    return sorted(path.name for path in (workspace.base() / "work").iterdir() if path.name != "lock")


def test_a_workspace_goes_with_its_task():
    with workspace.private() as folder, workspace.private() as another:
        assert folder != another
        assert len(found()) == 4
    assert found() == []


def test_what_a_machine_that_went_down_left_is_swept_by_the_next():
    left = workspace.base() / "work/left"
    left.mkdir(parents=True)
    left.with_suffix(".lock").touch()
    with workspace.private() as folder:
        assert found() == [folder.name, f"{folder.name}.lock"]


def test_a_killed_worker_s_workspace_goes_at_once():
    child = os.fork()
    if child == 0:
        try:
            with workspace.private() as folder:
                (folder / "file").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    give_up = time.monotonic() + 15
    while any(not name.endswith(".lock") for name in found()) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert [Path(name).suffix for name in found()] == [".lock"]
