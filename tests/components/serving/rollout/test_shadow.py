"""Challengers answer copies: unseen, by their share, counted, and told to people and the gate."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

from components.promotion.champion import Standing
from components.serving.rollout.shadow import agree
from components.serving.rollout.state import BUNDLES, State, StateFile, Target
from components.serving.telemetry import tried
from flows.cli.registry import _status_row
from tests.components.serving import bundles
from tests.components.serving.server import Client, Server
from tests.components.serving.shop import until


def target(version: str, kind: str = "classification", mark: int = 0) -> Target:
    folder = Path("made") / version
    sha256 = bundles.write(folder, kind, mark=mark)
    BUNDLES.mkdir(parents=True, exist_ok=True)
    folder.rename(BUNDLES / sha256)
    return Target(version, sha256)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_a_challenger_is_tried_unseen(tmp_path, monkeypatch, share):
    monkeypatch.chdir(tmp_path)
    # The challenger's most likely class is another one as soon as the pixels sum up to less than its mark.
    champion, challenger = target("1"), target("2", mark=1000)
    StateFile().write(State({"m": champion}, {"m": challenger}, complete=True))
    bright = {"image": np.full((1, 4, 4, 1), 200, np.uint8)}
    dark = {"image": np.full((1, 4, 4, 1), 9, np.uint8)}
    log = {"share": 0, "below": None, "disagreement": True, "keep": "answers", "max_mb": 1, "days": 1}
    with Server(tmp_path, worker={"shadow": share, "prediction_log": {"m": log}}) as server:
        client = server.client()
        for asked, given in enumerate([bright] * 30 + [dark] * 10, start=1):
            version, outputs = client.infer("m", given)
            assert version == "1" and outputs["probabilities"][0, 1] == 0  # nobody sees the challenger
            # The next copy goes out once this one is answered: none is skipped, however slow the machine is.
            until(lambda due=int(asked * share): _counted(client) == due)
        (record,) = until(lambda: _records_of(int(40 * share)))
        # The prediction log is given those on which they disagree, and here has no recorder to take them.
        told = client.ask("GET", "/metrics")[1].decode()
        kept = re.search(
            r'^darkroom_predictions_total\{model="m",outcome="dropped: no recorder"\} (\d+)', told, re.M
        )
        assert int(kept[1]) == record.disagreed
    assert (record.champion, record.challenger) == (champion.sha256, challenger.sha256)
    expected = {1.0: (30, 10), 0.25: (7, 3)}[share]  # of every fourth request the copies 4, 8, ..., 40
    assert (record.agreed, record.disagreed, record.failed, record.skipped) == (*expected, 0, 0)
    told = _status_row(Standing("m", 1, 2, None, 1, None, moved_by_hand=False, deleted=False, shadow=record))[
        -1
    ]
    share_told = f"{expected[0] / sum(expected):.1%} of {sum(expected)} requests"
    assert told.startswith(f"challenger, unseen: agreed on {share_told}, failed on 0")


def _counted(client: Client) -> int:
    """Return how many copies the worker has counted, whatever came of them."""
    told = client.ask("GET", "/metrics")[1].decode()
    return sum(int(float(n)) for n in re.findall(r"^darkroom_shadow_total\{.*\} (.*)$", told, re.MULTILINE))


def _records_of(copies: int) -> list[tried.TrialRecord]:
    """Return what the worker has written for others, once it is about that many copies."""
    records = tried.shadow_records("m")
    return [r for r in records if r.agreed + r.disagreed + r.failed + r.skipped == copies]


def test_a_challenger_that_cannot_answer_harms_nobody(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    champion, challenger = target("1"), target("2", "generation")
    StateFile().write(State({"m": champion}, {"m": challenger}, complete=True))
    with Server(tmp_path, worker={"shadow": 1.0}) as server:
        client = server.client()
        for asked in range(1, 6):
            assert client.infer("m", bundles.example("classification", 2, asked))[0] == "1"
            until(lambda due=asked: _counted(client) == due)
        (record,) = until(lambda: _records_of(5))
    assert (record.agreed, record.disagreed, record.failed, record.skipped) == (0, 0, 5, 0)


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
        limit = time.monotonic() + 60
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
