"""Whatever a run started dies with it, also after ``kill -9``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid

import psutil

from flows.processes import reaper
from tests import processes

RUN = """
import subprocess, sys, time
from flows.processes import reaper
with reaper.guard(sys.argv[1]):
    # A child in a session of its own, and its child: neither sees a signal sent to the run.
    shell = "sleep 300 & echo started; sleep 300"
    subprocess.Popen(["sh", "-c", shell], start_new_session=True)
    {ending}
"""


def _start(ending: str) -> tuple[subprocess.Popen, str]:
    run = uuid.uuid4().hex
    process = subprocess.Popen([sys.executable, "-c", RUN.format(ending=ending), run], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"started\n"
    return process, run


def _wait_until_gone(run: str) -> list[psutil.Process]:
    give_up = time.monotonic() + 15
    while processes.marked(reaper.MARK, run) and time.monotonic() < give_up:
        time.sleep(0.1)
    return processes.marked(reaper.MARK, run)


def test_kill_9_leaves_no_orphan():
    process, run = _start("time.sleep(300)")
    assert len(processes.marked(reaper.MARK, run)) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert _wait_until_gone(run) == []


def test_an_ordinary_end_leaves_no_orphan():
    process, run = _start("pass")
    assert process.wait(20) == 0
    assert _wait_until_gone(run) == []


def test_a_run_within_another_has_its_own_reaper(tmp_path):
    """It ends with the process that began it, also by ``kill -9``, and takes its folder along."""
    inner = (
        "with reaper.guard(sys.argv[1] + 'x', Path('{0}')): print(os.getpid(), flush=True); time.sleep(300)"
    )
    code = f"import os, sys, time; from pathlib import Path; from flows.processes import reaper\n{inner}"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    run = uuid.uuid4().hex
    with reaper.guard(run):
        command = [sys.executable, "-c", code.format(folder), run]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        # Not the reaper of the inner one: the outer one would end it, and with it what it is there for.
        assert [one.pid for one in processes.marked(reaper.MARK, run)] == [process.pid]
        process.kill()
        process.wait()
        give_up = time.monotonic() + 15
        while folder.exists() and time.monotonic() < give_up:
            time.sleep(0.1)
        assert not folder.exists()
        assert os.environ[reaper.MARK] == run
    assert reaper.MARK not in os.environ


def test_another_run_is_left_alone():
    process, run = _start("time.sleep(300)")
    other, other_run = _start("pass")
    other.wait(20)
    assert _wait_until_gone(other_run) == []
    assert len(processes.marked(reaper.MARK, run)) >= 2
    process.kill()
    process.wait()
    assert _wait_until_gone(run) == []
