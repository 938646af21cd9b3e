"""Cores and GPUs are never handed out twice, and no crash keeps one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

from flows.retraining.machine import Machine


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
    with Machine(cores=1, devices=["7"]).gpu(wanted=False) as index:
        assert index is None
    with Machine(cores=1, devices=[]).gpu(wanted=True) as index:
        assert index is None


def test_one_training_to_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    machine = Machine(cores=4, devices=["0", "1"])
    with machine.gpu(wanted=True) as first, machine.gpu(wanted=True) as second:
        assert {first, second} == {"0", "1"}
        waiting = threading.Thread(target=lambda: machine.gpu(wanted=True).__enter__(), daemon=True)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()


def test_a_killed_holder_frees_its_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    holder = (
        "import time\nfrom flows.retraining.machine import Machine\n"
        "with Machine(1, ['0']).gpu(True):\n  print('held', flush=True)\n  time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert process.stdout.readline() == b"held\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Machine(cores=1, devices=["0"]).gpu(wanted=True) as index:
        assert index == "0"
