"""Cores and GPUs are never handed out twice, and no crash keeps one."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from components.project.sections import Params
from data.errors import UserError
from flows.retraining import machine
from flows.retraining.machine import Machine


@pytest.fixture
def leases(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files, in which GPUs are leased."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_threads_never_exceed_the_cores():
    machine = Machine(cores=3, devices=[])
    held, most = 0, 0
    guard = threading.Lock()

    def work(count: int) -> None:
        nonlocal held, most
        with machine.threads(count):
            with guard:
                held += count
                most = max(most, held)
            time.sleep(0.01)
            with guard:
                held -= count

    threads = [threading.Thread(target=work, args=(1 + index % 3,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 3
    assert held == 0


def test_the_lowest_rank_that_fits_is_next():
    machine = Machine(cores=2, devices=[])
    order: list[int] = []

    def work(count: int, rank: int) -> None:
        with machine.threads(count, rank):
            order.append(rank)

    with machine.threads(1):
        # Both cores are never free in here: rank 0 has to wait, and does not keep the other core from the rest.
        waiting = [threading.Thread(target=work, args=(2, 0))]
        waiting[0].start()
        with machine.threads(1):
            waiting += [threading.Thread(target=work, args=(1, rank)) for rank in (3, 1, 2)]
            for thread in waiting[1:]:
                thread.start()
            while len(machine._waiting) < len(waiting):
                time.sleep(0.001)
        for thread in waiting[1:]:
            thread.join(10)
        assert order == [1, 2, 3]
    waiting[0].join(10)
    assert order == [1, 2, 3, 0]


def test_who_needs_few_cores_at_least_is_not_overtaken():
    machine = Machine(cores=2, devices=[])
    order: list[int] = []

    def work(count: int, rank: int, least: int | None = None) -> None:
        with machine.threads(count, rank, least):
            order.append(rank)
            assert machine._free == 0  # what is free is taken, as far as it is wanted

    with machine.threads(1):
        with machine.threads(1):
            waiting = [
                threading.Thread(target=work, args=(2, 0, 1)),
                *(threading.Thread(target=work, args=(1, rank)) for rank in (2, 1)),
            ]
            for thread in waiting:
                thread.start()
            while len(machine._waiting) < len(waiting):
                time.sleep(0.001)
        for thread in waiting:
            thread.join(10)
    assert order == [0, 1, 2]
    work(2, 3, 1)  # both


def test_a_demand_for_more_cores_than_there_are_gets_all():
    machine = Machine(cores=2, devices=[])
    with machine.threads(16):
        assert machine._free == 0
    assert machine._free == 2


def test_no_gpu_wanted_or_none_there_leases_none():
    with Machine(cores=1, devices=["7"]).gpus(0) as held:
        assert held == []
    with Machine(cores=1, devices=[]).gpus(1) as held:
        assert held == []


def test_one_training_to_a_gpu(leases):
    machine = Machine(cores=4, devices=["0", "1"])
    with machine.gpus(1) as first, machine.gpus(1) as second:
        assert first + second == ["0", "1"]
        waiting = threading.Thread(target=lambda: machine.gpus(1).__enter__(), daemon=True)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()


def test_who_wants_several_gpus_keeps_those_that_become_free(leases):
    machine = Machine(cores=4, devices=["0", "1"])
    got: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def lease(count: int) -> None:
        with machine.gpus(count) as held:
            got.put(held)

    with machine.gpus(1):
        for _ in range(2):
            threading.Thread(target=lease, args=(2,), daemon=True).start()
        time.sleep(0.3)
        threading.Thread(target=lease, args=(1,), daemon=True).start()
        with pytest.raises(queue.Empty):  # the other GPU is kept for the first of the two
            got.get(timeout=0.5)
    assert sorted(len(got.get(timeout=30)) for _ in range(3)) == [1, 2, 2]


def test_a_demand_for_more_gpus_than_there_are_gets_all(leases):
    with Machine(cores=1, devices=["0", "1"]).gpus(4) as held:
        assert held == ["0", "1"]


def test_a_killed_holder_frees_its_gpus(leases):
    holder = (
        "import time\nfrom flows.retraining.machine import Machine\n"
        "with Machine(1, ['0', '1']).gpus(2):\n  print('held', flush=True)\n  time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(leases)}
    )
    assert process.stdout.readline() == b"held\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Machine(cores=1, devices=["0", "1"]).gpus(2) as held:
        assert held == ["0", "1"]


def test_a_model_for_more_gpus_than_there_are_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    entries = {
        name: {"family": "cnn", "dataset": "digits", "gpus": count} for name, count in (("a", 2), ("b", 3))
    }
    settings = Params.model_validate({"datasets": {"digits": "x"}, "models": entries})
    assert machine.gpus() == ["3", "5"]
    machine.require_gpus(settings, ["a"])
    with pytest.raises(
        UserError, match=r"^params.yaml: models.b.gpus: 3, but this machine has 2. Use at most 2"
    ):
        machine.require_gpus(settings, ["a", "b"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UserError, match=r"models.a.gpus: 2, but this machine has 0. .*\n.*models.b"):
        machine.require_gpus(settings, ["a", "b"])
