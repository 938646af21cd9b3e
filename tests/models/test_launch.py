"""Ranks as real processes: whichever dies, all end within seconds, and it is said which."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest

from data.errors import UserError
from models import launch, ranks
from tests.models import ranked
from tests.models.test_contract import FILES

SECONDS = 5.0
"""In which all ranks are gone."""


def fail(how: str, out: Path) -> None:
    """Fail in the second rank, while the first waits for it."""
    (out / str(ranks.number())).write_text(str(os.getpid()))
    ranks.agreed(True)
    if ranks.number() == 1:
        if how == "mistake":
            raise UserError("params.yaml: models.x.overrides: is wrong")
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "silent":
            os._exit(3)
        raise ZeroDivisionError(how)
    time.sleep(600)  # it does not notice by itself, as one that computes


def launched(work: Callable[..., None], *arguments: object, method: str = "forkserver") -> None:
    launch.launch(work, arguments, gpus=(None, None), backend="gloo", method=method)


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        ("mistake", UserError, r"^params.yaml: models.x.overrides: is wrong$"),
        (
            "killed",
            launch.RankDied,
            r"^rank 1 of 2 was killed by signal 9 .*goes on from the last resume point\.$",
        ),
        ("failed", launch.RankDied, r"(?s)^rank 1 of 2 failed\..*ZeroDivisionError: failed"),
        ("silent", launch.RankDied, r"^rank 1 of 2 ended with status 3 and without a word\."),
    ],
)
def test_a_rank_that_fails_ends_all_and_it_is_said_why(tmp_path, how, error, told):
    with pytest.raises(error, match=told):
        launched(fail, how, tmp_path)
    assert gone(tmp_path / "0") and gone(tmp_path / "1")


def test_ranks_end_with_who_started_them(tmp_path):
    parent = get_context("forkserver").Process(
        target=launched, args=(wait, tmp_path), kwargs={"method": "fork"}
    )
    parent.start()
    until(lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists())
    parent.kill()
    parent.join()
    until(lambda: gone(tmp_path / "0") and gone(tmp_path / "1"))
    assert parent.exitcode == -signal.SIGKILL


def wait(out: Path) -> None:
    """Wait for the other rank for ever."""
    ranks.agreed(True)
    (out / f"{ranks.number()}.new").write_text(str(os.getpid()))
    (out / f"{ranks.number()}.new").rename(out / str(ranks.number()))
    if ranks.number() == 1:
        time.sleep(600)
    ranks.agreed(True)


@pytest.mark.parametrize("family", ["vae", "gan"])
def test_a_killed_rank_ends_all_and_the_next_try_ends_in_the_same_bytes(family, digits, tmp_path):
    def training(name: str, **how: bool) -> ranked.Training:
        return ranked.Training(family, digits.folder, tmp_path / name, ranked.LONG, **how)

    ranked.in_pair([training("whole")])
    errors: list[Exception] = []

    def run() -> None:
        try:
            ranked.in_pair([training("killed", resumable=True, saving=True)])
        except launch.RankDied as error:
            errors.append(error)

    running = threading.Thread(target=run)
    running.start()
    points = tmp_path / "killed" / "point.safetensors"
    until(points.exists)
    seen = points.stat().st_mtime_ns
    until(lambda: points.stat().st_mtime_ns != seen)
    os.kill(int((tmp_path / "killed" / "rank-1").read_text()), signal.SIGKILL)
    running.join(SECONDS)
    assert not running.is_alive()
    assert str(errors[0]).startswith("rank 1 of 2 was killed by signal 9"), errors
    assert gone(tmp_path / "killed" / "rank-0")
    assert not (tmp_path / "killed" / "checkpoint.json").exists()
    ranked.in_pair([training("killed", resumable=True)])
    for name in FILES:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that is a matter of seconds."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def gone(file: Path) -> bool:
    """Whether the process whose number is in ``file`` is no more."""
    pid = int(file.read_text())
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
