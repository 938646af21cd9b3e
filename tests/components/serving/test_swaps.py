"""Swaps under load: no request fails, every answer is of a version that was champion, and memory stays flat."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from components.serving.rollout.state import BUNDLES, State, StateFile, Target
from tests.components.serving import bundles
from tests.components.serving.load import Load
from tests.components.serving.server import Server


@pytest.mark.parametrize(
    ("swaps", "settle"),
    [(30, 10), pytest.param(1000, 50, marks=[pytest.mark.slow, pytest.mark.timeout(1500)])],
)
def test_swaps_under_load(tmp_path, monkeypatch, swaps, settle):
    monkeypatch.chdir(tmp_path)
    targets = [_bundle(mark) for mark in range(4)]
    # The follower's part: it names a verified version in the state file.
    file, state = StateFile(), State(champions={"m": targets[0]}, complete=True)
    file.write(state)
    memory = {}
    with Server(tmp_path, worker={}) as server, Load(server.port) as load:
        worker, client = psutil.Process(server.process.pid), server.client()
        for swap in range(1, swaps + 1):
            target = replace(targets[swap % 4], version=str(swap + 1))
            file.write(replace(state, champions={"m": target}))
            limit = time.monotonic() + 20
            while (served := client.get("/v2/models/m")["versions"][0]) != target.version:
                assert served == str(swap), "a version that is champion no more came back"
                assert time.monotonic() < limit
            if swap in (settle, swaps):
                memory[swap] = worker.memory_info().rss
    assert not load.wrong and not load.lost
    # Each answer shows the mark of the very version that it names.
    assert load.answered and all(mark == (int(version) - 1) % 4 for version, mark in load.answered)
    assert len(load.answered) > swaps / 2
    assert memory[swaps] < 1.1 * memory[settle], memory


def _bundle(mark: int) -> Target:
    folder = Path("made") / str(mark)
    sha256 = bundles.write(folder, mark=mark)
    BUNDLES.mkdir(parents=True, exist_ok=True)
    folder.rename(BUNDLES / sha256)
    return Target("1", sha256)
