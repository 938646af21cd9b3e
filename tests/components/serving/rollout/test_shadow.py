"""Challengers answer copies: unseen, by their share, counted, and told to people and the gate."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from components.promotion.champion import Standing
from components.serving.rollout.shadow import agree
from components.serving.rollout.state import BUNDLES, State, StateFile, Target
from components.serving.telemetry import shared
from flows.cli.registry import _status_row
from tests.components.serving import bundles
from tests.components.serving.server import Server


def target(version: str, kind: str = "classification", mark: int = 0) -> Target:
    folder = Path("made") / version
    sha256 = bundles.write(folder, kind, mark=mark)
    BUNDLES.mkdir(parents=True, exist_ok=True)
    folder.rename(BUNDLES / sha256)
    return Target(version, sha256)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_a_challenger_is_tried_unseen(tmp_path, monkeypatch, share):
    monkeypatch.chdir(tmp_path)
    # The challenger's likeliest class is another one as soon as the pixels sum up to less than its mark.
    champion, challenger = target("1"), target("2", mark=1000)
    StateFile().write(State({"m": champion}, {"m": challenger}, complete=True))
    bright = {"image": np.full((1, 4, 4, 1), 200, np.uint8)}
    dark = {"image": np.full((1, 4, 4, 1), 9, np.uint8)}
    with Server(tmp_path, worker={"shadow": share}) as server:
        client = server.client()
        for given in [bright] * 30 + [dark] * 10:
            version, outputs = client.infer("m", given)
            assert version == "1" and outputs["probabilities"][0, 1] == 0  # nobody sees the challenger
            time.sleep(0.005)
        limit = time.monotonic() + 20
        while not (found := shared.shadow_records("m")) or _seen(found[0]) < 40 * share:
            assert time.monotonic() < limit, found
            time.sleep(0.05)
    (record,) = found
    assert (record.champion, record.challenger) == (champion.sha256, challenger.sha256)
    assert _seen(record) == 40 * share and record.failed == 0
    if not record.skipped:
        assert abs(record.agreed - 30 * share) <= 1
    told = _status_row(Standing("m", 1, 2, None, 1, None, record))[-1]
    assert told.startswith("challenger, unseen: agreed on ") and " of " in told


def _seen(record: shared.ShadowRecord) -> int:
    return record.agreed + record.disagreed + record.failed + record.skipped


def test_a_challenger_that_cannot_answer_harms_nobody(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    champion, challenger = target("1"), target("2", "generation")
    StateFile().write(State({"m": champion}, {"m": challenger}, complete=True))
    with Server(tmp_path, worker={"shadow": 1.0}) as server:
        client = server.client()
        for seed in range(5):
            assert client.infer("m", bundles.example("classification", 2, seed))[0] == "1"
        limit = time.monotonic() + 20
        while not (found := shared.shadow_records("m")) or found[0].failed < 5:
            assert time.monotonic() < limit, found
            time.sleep(0.05)


def test_who_agrees():
    p = {"probabilities": np.array([[0.2, 0.8], [0.6, 0.4]])}
    assert agree(p, {"probabilities": np.array([[0.4, 0.6], [0.9, 0.1]]), "log_likelihood": np.zeros(2)})
    assert not agree(p, {"probabilities": np.array([[0.6, 0.4], [0.9, 0.1]])})
    grey = {"image": np.full((2, 4, 4, 1), 100, np.uint8)}
    assert agree(grey, {"image": np.full((2, 4, 4, 1), 101, np.uint8)})
    assert not agree(grey, {"image": np.full((2, 4, 4, 1), 103, np.uint8)})
    assert not agree(grey, {"image": np.full((3, 4, 4, 1), 100, np.uint8)})
    text = {"text": np.array(["ab"], dtype=object)}
    assert agree(text, {"text": np.array(["ab"], dtype=object)}) and not agree(text, grey)
    assert not agree(text, {"text": np.array(["abc"], dtype=object)})
    assert agree({"boxes": np.array([0.5])}, {"boxes": np.array([0.505])})
    assert not agree({"boxes": np.array([0.5])}, {"boxes": np.array([0.6])})


def test_workers_count_as_one(tmp_path):
    bundles.write(tmp_path / "m")
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    with Server(tmp_path, "--bundle", f"m={tmp_path / 'm'}", "--workers", "2") as server:
        for seed in range(40):
            client = server.client()  # each connection may be another worker's
            client.infer("m", bundles.example("classification", 2, seed))
            client.close()
        limit = time.monotonic() + 20
        while True:
            (told,) = server.client().get("/v2/models/m/stats")["model_stats"]
            files = list((tmp_path / ".darkroom/serving/counters").glob("*.json"))
            # The server is there with its first worker, and the second may have had nothing to do.
            if told["inference_stats"]["success"]["count"] == 40 and len(files) == 2:
                break
            assert time.monotonic() < limit, told
            time.sleep(0.1)
        assert told["inference_count"] == 80
        assert all(json.loads(file.read_text()) for file in files)
        assert (
            'darkroom_served_version{model="m",version="1"} 1\n'
            in server.client().ask("GET", "/metrics")[1].decode()
        )
