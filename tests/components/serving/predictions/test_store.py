"""The files of the prediction log: bounded, joined, and whole whenever the recorder is killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.serving.predictions import store
from components.serving.predictions.store import Store

DAY_S = 86_400


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def row(id: str, data: bytes = b"") -> dict:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [len(data)], "data": data}
    return dict.fromkeys(store.SCHEMA.names) | {"time": 0, "request_id": id, "outputs": [tensor]}


def ids(log: Store) -> list[str]:
    return [id for file in log.files() for id in pq.read_table(file)["request_id"].to_pylist()]


def test_the_oldest_goes_first_where_there_are_too_many_bytes(tmp_path):

    log = Store("m", 100_000, 30)
    for number in range(20):
        log.write([row(str(number), os.urandom(20_000))])
        assert log.size <= 100_000
    assert ids(log) == ["16", "17", "18", "19"]


def test_what_is_too_old_goes(monkeypatch):
    log, now = Store("m", 1e9, 30), time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 31 * DAY_S * 10**9)
    log.write([row("old")])
    monkeypatch.setattr(time, "time_ns", lambda: now)
    assert ids(log) == ["old"]
    log.write([row("new")])
    assert ids(log) == ["new"]


def test_small_files_are_joined_and_a_kill_in_between_leaves_each_row_once(monkeypatch):
    log = Store("m", 1e9, 30)
    expected = [str(number) for number in range(store.JOINED + 1)]
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        for id in expected[:-2]:
            log.write([row(id)])
        with pytest.raises(KeyboardInterrupt):
            log.write([row(expected[-2])])
    assert len(list(log.files())) == store.JOINED + 1
    log = Store("m", 1e9, 30)
    assert len(list(log.files())) == 1
    log.write([row(expected[-1])])
    assert ids(log) == expected


def test_a_request_is_forgotten_wherever_it_is():
    log = Store("m", 1e9, 30)
    log.write([row("a"), row("b"), row("a")])
    log.write([row("c")])
    log.write([row("d")])
    log.forget({"a", "c", "nobody"})
    assert ids(log) == ["b", "d"]
