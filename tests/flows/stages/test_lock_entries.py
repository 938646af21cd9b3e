"""dvc.lock written entry by entry: DVC's own commands find in it what they would have written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.project import dvc_lock
from flows.stages import lock_entries
from flows.stages.process import StageProcess
from tests.flows.pipeline import ROOT

STAGES = ("ingest@digits", "train@two")


def _run(stage: str, force: bool = False) -> str:
    return StageProcess(stage, Path(f"logs/{stage}.log"), {}, force=force).run(60)


def _dvc(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def _written_by_dvc(_toy_template, tmp_path_factory) -> list[str]:
    """Texts of dvc.lock as DVC alone writes it: both stages, and the first once more, with another hash."""
    folder = tmp_path_factory.mktemp("dvc")
    shutil.copytree(_toy_template, folder, dirs_exist_ok=True)
    texts = []
    for stages, source in ((STAGES, "0"), (STAGES[:1], "1")):
        (folder / "source-digits").write_text(source)
        subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", "-s", *stages], cwd=folder, check=True)
        texts.append((folder / "dvc.lock").read_text())
    return texts


def test_the_bytes_are_dvc_s(_written_by_dvc, toy):
    first, second = _written_by_dvc
    assert [_run(stage) for stage in STAGES] == ["ran"] * 2
    assert dvc_lock.FILE.read_text() == first
    assert _dvc("status", *STAGES) == "Data and pipelines are up to date."
    Path("source-digits").write_text("1")
    assert _run(STAGES[0]) == "ran"
    assert dvc_lock.FILE.read_text() == second


def test_a_file_that_dvc_did_not_write_so_is_left_to_dvc(_written_by_dvc, toy):
    Path("dvc.lock").write_text(f"# a note\n{_written_by_dvc[0]}")
    Path("source-digits").write_text("1")
    assert _run(STAGES[0]) == "ran"
    assert dvc_lock.FILE.read_text() == f"# a note\n{_written_by_dvc[1]}"


KILLED = """
import os, signal
from flows.stages import dvc_command, lock_entries
lock_entries.atomic.write_text = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
dvc_command.main()
"""


def test_killed_between_the_end_of_a_stage_and_its_entry(toy):
    _run(STAGES[0])
    before = dvc_lock.FILE.read_text()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "repro", "-s", "train@one"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL
    assert dvc_lock.FILE.read_text() == before
    assert _run("train@one") == "restored"
    assert Path("ran.log").read_text().split() == ["ingest@digits", "train@one"]
    assert _dvc("status", "train@one") == "Data and pipelines are up to date."


def test_entries_of_another_folder_are_put_in(_written_by_dvc, toy):
    _run("ingest@digits")
    entries = dvc_lock.split(_written_by_dvc[0])
    lock_entries.merge({"train@two": entries["train@two"]})
    assert dvc_lock.FILE.read_text() == _written_by_dvc[0]
    dvc_lock.FILE.unlink()
    lock_entries.merge(entries)
    assert dvc_lock.FILE.read_text() == _written_by_dvc[0]
