"""What a killed process leaves is swept, what a living one owns is waited for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from data import atomic
from data.errors import UserError
from flows.stages import dag, leftovers
from flows.stages.process import StageProcess

RWLOCK = Path(".dvc/tmp/rwlock")
HOLDER = """
import sys, zc.lockfile
lock = zc.lockfile.LockFile(".dvc/tmp/lock")
print("held", flush=True)
sys.stdin.read()
"""


def _swept() -> list[str]:
    told: list[str] = []
    leftovers.sweep(told.append)
    return told


def _table(pid: int) -> str:
    return json.dumps(
        {"write": {str(Path("out/ingest-digits").absolute()): {"pid": pid, "cmd": "dvc repro"}}}
    )


@pytest.fixture
def locks(toy) -> Path:
    (toy / ".dvc/tmp").mkdir(exist_ok=True)
    return toy


@pytest.mark.parametrize(
    "content", ["", '{"write": {"/a": {"pi', "[]", '{"write": 3}', '{"read": {"a": [{}]}}']
)
def test_a_table_that_was_cut_is_removed(locks, content):
    RWLOCK.write_text(content)
    assert _swept() == [f"{RWLOCK}: removed, it was cut short when a process was killed"]
    assert not RWLOCK.exists()
    assert StageProcess("ingest@digits", Path("log"), {}).run(60) == "ran"


def test_a_process_id_that_lives_again_blocks_nothing(locks):
    RWLOCK.write_text(_table(os.getpid()))  # of this folder, but no DVC
    assert _swept() == [f"{RWLOCK}: removed, the processes that it names are gone"]
    assert StageProcess("ingest@digits", Path("log"), {}).run(60) == "ran"
    assert _swept() == []


def test_a_dvc_that_is_alive_is_waited_for(locks):
    (locks / "dvc").write_text("import time\ntime.sleep(300)\n")
    living = subprocess.Popen([sys.executable, locks / "dvc"])
    RWLOCK.write_text(_table(living.pid))
    os.utime(RWLOCK, (time.time() + 5, time.time() + 5))
    told: list[str] = []
    sweep = threading.Thread(target=leftovers.sweep, args=[told.append])
    sweep.start()
    while not told:
        time.sleep(0.05)
    assert told == [f"waiting for process {living.pid} (dvc repro), which {RWLOCK} names"]
    living.kill()
    living.wait()
    sweep.join(20)
    assert told[1:] == [f"{RWLOCK}: removed, the processes that it names are gone"]


def test_who_holds_the_repository_is_waited_for(locks, capsys):
    command = [sys.executable, "-c", HOLDER]
    holding = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holding.stdout.readline()
    with pytest.raises(UserError, match=rf"another DVC process .* process {holding.pid} "):
        dag.Project().changed(dag.read(), timeout_s=0)
    threading.Timer(4, holding.stdin.close).start()  # DVC itself tries for 3 s
    assert dag.Project().changed(dag.read()) == {"ingest@digits", "train@one", "train@two"}
    assert f"waiting for process {holding.pid} ({sys.executable} -c" in capsys.readouterr().err
    holding.wait()


def test_an_empty_lock_file_names_a_mend_that_works(toy):
    StageProcess("ingest@digits", Path("log"), {}).run(60)
    Path("dvc.lock").write_text("")
    with pytest.raises(UserError, match=r"^dvc\.lock: is empty: .*: rm dvc\.lock\. Or"):
        dag.read()
    subprocess.run("rm dvc.lock", shell=True, check=True)
    assert "ingest@digits" in dag.Project().changed(dag.read())
    assert StageProcess("ingest@digits", Path("log"), {}).run(60) == "restored"


def test_unfinished_writes_of_the_dead_are_removed(toy):
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    for name in (
        f".digits-hmm.{dead.pid}.abcdefgh.tmp",
        ".digits-hmm.ab_defg1.tmp",
        f".m.{dead.pid}.abcdefgh.old",
    ):
        (toy / "artifacts/bundles" / name / "1").mkdir(parents=True)
    point = toy / f".darkroom/resume/m/key/.point.safetensors.{dead.pid}.abcdefgh.tmp"
    point.parent.mkdir(parents=True)
    point.touch()
    (toy / "artifacts/bundles/.mine.tmp").touch()  # no name of ours
    with atomic.folder(toy / "artifacts/bundles/living") as living:
        assert len(_swept()) == 4
        assert living.exists()
    assert {path.name for path in (toy / "artifacts/bundles").iterdir()} == {"living", ".mine.tmp"}
    assert not point.exists()
