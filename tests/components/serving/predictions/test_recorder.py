"""A real server with a prediction log: what it holds, what it forgets, and what it never costs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow.dataset as ds
import pytest
import yaml

from components.bundles.bundle import sha256
from tests.components.serving import bundles
from tests.components.serving.load import Load
from tests.components.serving.server import Server
from tests.components.serving.shop import until

LOG = {"unsure": {"share": 0, "below": 1.0}, "m": {"share": 1.0, "keep": "inputs"}, "half": {"share": 0.5}}
DARK = {"image": np.zeros((1, 4, 4, 1), np.uint8)}
"""What a model whose answers have no mark is not sure of."""
MANY = {"image": np.zeros((256, 4, 4, 1), np.uint8)}


def project(folder: Path, log: dict) -> list[str]:
    """Write a project that serves ``m`` and others with a prediction log; return the options."""
    (folder / "dvc.yaml").touch()
    (folder / "params.yaml").write_text(yaml.safe_dump({"prediction_log": log}))
    options = []
    for number, name in enumerate([*log, "unlogged"]):
        bundles.write(folder / name, mark=number)
        options += ["--bundle", f"{name}={folder / name}"]
    return options


def rows(folder: Path, name: str = "m") -> list[dict]:
    files = sorted((folder / ".darkroom/predictions" / name).glob("*.parquet"))
    return ds.dataset(files).to_table().to_pylist() if files else []


def recorder_of(server: Server) -> psutil.Process:
    children = psutil.Process(server.process.pid).children()
    return next(child for child in children if "components.serving.predictions.recorder" in child.cmdline())


def counted(server: Server, name: str) -> dict[str, float]:
    text = server.client().ask("GET", "/metrics")[1].decode()
    lines = [
        line for line in text.splitlines() if line.startswith(f'darkroom_predictions_total{{model="{name}"')
    ]
    return {line.split('outcome="')[1].split('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def ask(server: Server, name: str, id: str, *, given: dict | None = None) -> None:
    client = server.client()
    client.infer(name, given or bundles.example("classification", 1), **{"x-request-id": id})
    client.close()


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Path:
    """The folder of a server that answered some requests, forgot one, and has ended."""
    folder = tmp_path_factory.mktemp("logged")
    with Server(folder, *project(folder, LOG)) as server:
        until(lambda: (folder / f".darkroom/serving/recorder-{server.port}.sock").exists())
        time.sleep(1)  # the worker tries to reach it every half second
        for number in range(4):
            for name in ("m", "half", "unlogged"):
                ask(server, name, f"{name}-{number}")
            ask(server, "unsure", f"unsure-{number}", given=DARK if number % 2 else None)
        entry = {"name": "image", "datatype": "UINT8", "shape": [2, 4, 4, 1], "data": [0] * 32}
        server.client().post("/v2/models/m/infer", {"id": "mine", "inputs": [entry]})
        status, body, _ = server.client().ask("DELETE", "/v1/models/m/predictions/m-2")
        assert (status, json.loads(body)["request_id"]) == (200, "m-2")
        assert server.client().ask("DELETE", "/v1/models/unlogged/predictions/x")[0] == 404
        until(lambda: counted(server, "m").get("sent") == 5)
        time.sleep(1)  # the recorder looks for what is to be forgotten twice a second
    return folder


def test_a_row_holds_the_answer_and_where_it_is_from(ended):
    first = rows(ended)[0]
    given = bundles.example("classification", 1)
    assert (first["request_id"], first["model"], first["reason"]) == ("m-0", "m", "share")
    assert first["bundle_sha256"] == sha256(ended / "m") and first["version"] == "1"
    (inputs,), (outputs,) = first["inputs"], first["outputs"]
    assert (inputs["name"], inputs["datatype"], inputs["shape"]) == ("image", "UINT8", [1, 4, 4, 1])
    assert inputs["data"] == given["image"].tobytes()
    answer = bundles.answers("classification", given, 1)["probabilities"]
    np.testing.assert_allclose(np.frombuffer(outputs["data"], np.float32).reshape(outputs["shape"]), answer)
    assert first["labels"] == [bundles.CLASSES[answer.argmax()]]
    assert first["confidence"] == pytest.approx(answer.max())


def test_the_client_s_own_id_names_it_and_each_image_has_its_label(ended):
    (mine,) = [row for row in rows(ended) if row["request_id"] == "mine"]
    assert len(mine["labels"]) == 2


def test_what_is_to_be_forgotten_is_gone(ended):
    assert [row["request_id"] for row in rows(ended)] == ["m-0", "m-1", "m-3", "mine"]


def test_a_share_an_uncertain_answer_or_nothing(ended):
    assert [row["request_id"] for row in rows(ended, "half")] == ["half-1", "half-3"]
    assert {row["inputs"] is None for row in rows(ended, "half")} == {True}
    uncertain = [(row["request_id"], row["reason"]) for row in rows(ended, "unsure")]
    assert uncertain == [("unsure-1", "low_confidence"), ("unsure-3", "low_confidence")]
    assert not (ended / ".darkroom/predictions/unlogged").exists()


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    with Server(tmp_path, *project(tmp_path, {"m": {"share": 1.0, "keep": "inputs"}})) as server:
        until(lambda: "sent" in counted(server, "m") or ask(server, "m", "x"))
        yield server


def test_a_recorder_that_is_killed_fails_no_request(server, tmp_path):
    with Load(server.port) as load:
        dropped = counted(server, "m").get("dropped: no recorder", 0)
        recorder_of(server).kill()
        until(lambda: counted(server, "m").get("dropped: no recorder", 0) > dropped)
        before = counted(server, "m")["sent"]
        until(lambda: counted(server, "m")["sent"] > before)
    assert not load.wrong and not load.lost and load.total > 100


def test_a_full_disk_and_a_recorder_that_hangs_fail_no_request_and_memory_stays_flat(server, tmp_path):
    recorder, client = recorder_of(server), server.client()
    worker = next(p for p in psutil.Process(server.process.pid).children() if p != recorder)

    def ask_until(outcome: str, more: int) -> tuple[int, int]:
        """Ask until ``more`` answers had that outcome, and return the memory of worker and recorder."""
        before = counted(server, "m").get(outcome, 0)
        while counted(server, "m").get(outcome, 0) < before + more:
            for _ in range(100):
                client.infer("m", MANY)  # or it raises
        return worker.memory_info().rss, recorder.memory_info().rss

    recorder.rlimit(psutil.RLIMIT_FSIZE, (4096, psutil.RLIM_INFINITY))  # counters fit, Parquet does not
    full = [ask_until("lost: the disk failed", 500) for _ in range(4)]
    assert max(rss for _, rss in full[2:]) - full[1][1] < 24 << 20, full
    assert not rows(tmp_path)
    recorder.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    ask_until("written", 1)
    recorder.suspend()
    hung = [ask_until("dropped: the recorder is behind", 100) for _ in range(3)]
    assert max(rss for rss, _ in hung[1:]) - hung[0][0] < 8 << 20, hung
    recorder.resume()
    ask_until("written", 1)
    assert all(row["request_id"] for row in rows(tmp_path))
