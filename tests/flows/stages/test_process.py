"""One stage as a process: what it prints, how it ends, and that it can be stopped."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TextIO

import psutil
import pytest
import yaml

from flows.stages import dvc_command, process
from flows.stages.process import NotAtHand, StageFailed, StageProcess


def _stage(address: str, force: bool = False) -> StageProcess:
    return StageProcess(address, Path(f"logs/{address}.log"), {}, force=force)


def test_ran_then_unchanged_then_forced(toy):
    assert _stage("ingest@digits").run(60) == "ran"
    assert _stage("ingest@digits").run(60) == "unchanged"
    assert _stage("ingest@digits", force=True).run(60) == "ran"
    assert Path("ran.log").read_text().split() == ["ingest@digits"] * 2


def test_outs_come_back_from_the_cache(toy):
    _stage("ingest@digits").run(60)
    Path("out/ingest-digits").unlink()
    assert _stage("ingest@digits").run(60) == "restored"
    assert Path("out/ingest-digits").read_text() == "0"
    assert Path("ran.log").read_text().split() == ["ingest@digits"]


def test_a_dep_that_dvc_lock_does_not_have_yet_is_no_edit(toy):
    assert _stage("ingest@digits").run(60) == "ran"
    definition = Path("dvc.yaml").read_text()
    Path("more").write_text("")
    Path("dvc.yaml").write_text(definition.replace('"${item}", stage.sh', '"${item}", stage.sh, more'))
    assert _stage("ingest@digits").run(60) == "ran"
    assert _stage("ingest@digits").run(60) == "unchanged"


def test_dvc_lock_is_written_at_once(toy, monkeypatch):
    from dvc.utils.serialize import _common

    monkeypatch.setattr(_common, "_dump_data", _common._dump_data)  # put back after the test
    dvc_command.write_at_once()

    def killed(_: object, file: TextIO) -> None:
        file.write("stages: {}\n")
        file.flush()
        assert Path("dvc.lock").read_text() == "stages: {whole: {}}\n"
        raise KeyboardInterrupt

    Path("dvc.lock").write_text("stages: {whole: {}}\n")
    with pytest.raises(KeyboardInterrupt):
        _common._dump_data("dvc.lock", {}, killed)
    assert Path("dvc.lock").read_text() == "stages: {whole: {}}\n"
    assert not list(Path().glob(".dvc.lock*"))


def test_what_was_edited_while_the_command_ran_is_not_recorded(toy):
    Path("sleep-ingest@digits").touch()
    ended: list[BaseException | str] = []

    def run() -> None:
        try:
            ended.append(_stage("ingest@digits").run(60))
        except StageFailed as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not Path("pid").exists() or not Path("pid").read_text():
        time.sleep(0.05)
    Path("source-digits").write_text("1")
    _end_sleep(int(Path("pid").read_text()))
    thread.join(30)
    assert str(ended[0]).startswith(
        "ingest@digits: edited while it ran, so its results are not recorded: source-digits."
    )
    assert not Path("dvc.lock").exists()
    Path("sleep-ingest@digits").unlink()
    assert _stage("ingest@digits").run(60) == "ran"
    assert Path("out/ingest-digits").read_text() == "1"


def _end_sleep(shell: int) -> None:
    """End the ``sleep`` that a shell waits for; the shell goes on."""
    for child in psutil.Process(shell).children():
        child.kill()


def test_a_flipped_byte_in_the_cache_is_never_restored(toy):
    _stage("ingest@digits").run(60)
    Path("out/ingest-digits").unlink()
    (cached,) = (file for file in Path(".dvc/cache/files").rglob("*") if file.is_file())
    when = cached.stat()
    cached.chmod(0o644)
    cached.write_bytes(b"9")
    cached.chmod(0o444)
    os.utime(cached, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert _stage("ingest@digits").run(60) == "ran"
    assert f"{cached}: deleted, it held other bytes" in Path("logs/ingest@digits.log").read_text()
    assert Path("out/ingest-digits").read_text() == cached.read_text() == "0"


def test_a_user_s_mistake_is_told_alone_and_not_retried(toy):
    Path("fail-ingest@digits").write_text("error: source-digits: it must hold a 1.\n")
    with pytest.raises(StageFailed) as failed:
        _stage("ingest@digits").run(60)
    assert str(failed.value).splitlines()[0] == "source-digits: it must hold a 1."
    assert not failed.value.is_transient


def test_a_stage_that_ran_out_of_memory_is_said_to(toy):
    """As the kernel ends it: by a signal that it cannot answer."""
    stages = yaml.safe_load(Path("dvc.yaml").read_text())
    stages["stages"]["ingest"]["do"]["cmd"] = "kill -KILL $$"
    Path("dvc.yaml").write_text(yaml.safe_dump(stages))
    with pytest.raises(StageFailed) as failed:
        _stage("ingest@digits").run(60)
    told = "ingest@digits was killed by signal 9 (out of memory?)\nLog: logs/ingest@digits.log"
    assert str(failed.value) == told and failed.value.is_transient


def test_another_failure_may_be_retried(toy):
    Path("fail-ingest@digits").write_text("connection reset\n")
    with pytest.raises(StageFailed, match="connection reset") as failed:
        _stage("ingest@digits").run(60)
    assert failed.value.is_transient


def test_of_a_long_log_both_ends_are_read(toy, monkeypatch):
    monkeypatch.setattr(process, "_END", 500)
    stages = yaml.safe_load(Path("dvc.yaml").read_text())
    stages["stages"]["ingest"]["do"]["cmd"] = "yes | head -c 100000; echo; echo 'error: too much' >&2; exit 2"
    Path("dvc.yaml").write_text(yaml.safe_dump(stages))
    with pytest.raises(StageFailed, match=r"^too much"):
        _stage("ingest@digits").run(60)
    Path("short.log").write_text("all")
    assert process.ends(Path("short.log")) == "all"
    assert len(process.ends(Path("logs/ingest@digits.log"))) == 1000


def test_a_stage_that_is_only_to_be_restored_is_never_run(toy):
    def restore() -> str:
        return StageProcess("ingest@digits", Path("log"), {}, restore_only=True).run(60)

    with pytest.raises(NotAtHand):
        restore()
    assert not Path("ran.log").exists()
    _stage("ingest@digits").run(60)
    assert restore() == "unchanged"
    Path("out/ingest-digits").unlink()
    assert restore() == "restored"
    assert Path("ran.log").read_text().split() == ["ingest@digits"]


def test_a_time_limit_ends_the_whole_tree(toy):
    Path("sleep-ingest@digits").touch()
    with pytest.raises(StageFailed, match=r"out of its 0\.05 minutes"):
        _stage("ingest@digits").run(3)
    assert _sleepers(toy) == []


def test_stop_ends_the_whole_tree_and_keeps_dvc_whole(toy):
    Path("sleep-ingest@digits").touch()
    stage = _stage("ingest@digits")
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            stage.run(60)
        except StageFailed as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not Path("ran.log").exists():
        time.sleep(0.05)
    stage.stop()
    thread.join(30)
    assert "was stopped" in str(outcome[0])
    assert _sleepers(toy) == []
    Path("sleep-ingest@digits").unlink()
    assert _stage("ingest@digits").run(60) == "ran"


def _sleepers(folder: Path) -> list[int]:
    found = []
    for one in psutil.process_iter(["cwd", "status"]):
        if one.info["cwd"] == str(folder) and one.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(one.pid)
    import os

    return [pid for pid in found if pid != os.getpid()]
