from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from data import forks


def test_every_copy_works_and_this_process_does_not():
    processes = set(forks.results(lambda number: os.getpid(), range(40), processes=3, waiting=6))
    assert len(processes) == 3 and os.getpid() not in processes


def test_a_result_may_be_larger_than_a_pipe_holds():
    found = forks.results(lambda number: bytes(1 << 20), range(12), processes=2, waiting=8)
    assert [len(content) for content in found] == [1 << 20] * 12


def test_a_copy_that_is_killed_is_told():
    def work(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(ChildProcessError, match="ended with status -9"):
        list(forks.results(work, range(10), processes=2, waiting=4))


def test_no_copy_is_left_when_nobody_asks_any_more_or_the_process_is_killed(tmp_path):
    def work(number: int) -> bytes:
        (tmp_path / str(os.getpid())).touch()
        return bytes(1 << 20)

    found = forks.results(work, range(50), processes=2, waiting=4)
    next(found)
    found.close()
    child = os.fork()
    if not child:
        killed = forks.results(work, range(50), processes=2, waiting=4)
        next(killed)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    copies = [int(file.name) for file in tmp_path.iterdir()]
    assert len(copies) == 4
    deadline = time.monotonic() + 10
    while any(_runs(process) for process in copies):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
