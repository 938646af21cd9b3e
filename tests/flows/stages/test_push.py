"""Pushing to a real S3 server that checks signatures and to a real SSH server, and getting it all back in a clone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from flows.stages.process import StageProcess
from flows.stages.push import PushFailed, is_owed, push, push_stages
from tests.flows import remotes
from tests.flows.remotes import DVC, Remote


@pytest.fixture(scope="module", params=["s3", "ssh"])
def remote(request, tmp_path_factory):
    """Give a running server."""
    with getattr(remotes, request.param)(tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def project(toy, remote: Remote, monkeypatch) -> Path:
    """A toy project with one stage run, whose remote is a place on the server."""
    for name, value in remote.environment.items():
        monkeypatch.setenv(name, value)
    add = [DVC, "remote", "add", "--default", "local", f"{remote.url}/{toy.name}"]
    subprocess.run(add, check=True, capture_output=True)
    remotes.set_remote(**remote.settings)
    StageProcess("ingest@digits", Path("log"), {}).run(60)
    return toy


def test_a_clone_gets_back_what_was_pushed(project, tmp_path_factory):
    push(Path("push.log"))
    clone = tmp_path_factory.mktemp("clone")
    shutil.copytree(project, clone, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out", "cache", "tmp"))
    subprocess.run([DVC, "pull", "ingest@digits"], cwd=clone, check=True, capture_output=True)
    assert (clone / "out/ingest-digits").read_text() == (project / "out/ingest-digits").read_text()


def test_what_was_not_pushed_is_owed(toy, tmp_path_factory):
    assert not is_owed()  # there is no dvc.lock
    remote = tmp_path_factory.mktemp("remotes") / "remote"
    subprocess.run([DVC, "remote", "add", "-q", "--default", "local", remote], check=True)
    subprocess.run([DVC, "repro", "-q", "-s", "ingest@digits"], check=True)
    assert is_owed()
    remote.write_text("no folder")
    with pytest.raises(PushFailed):
        push(Path("push.log"))
    assert is_owed()
    remote.unlink()
    push(Path("push.log"))
    assert not is_owed()
    subprocess.run([DVC, "remote", "modify", "local", "url", remote.with_name("other")], check=True)
    assert is_owed()


def test_the_outs_of_some_stages_are_pushed_alone(toy, tmp_path_factory):
    remote = tmp_path_factory.mktemp("remote")
    subprocess.run([DVC, "remote", "add", "-q", "--default", "local", remote], check=True)
    for stage, content in {"ingest@digits": "some", "train@one": "others"}.items():
        Path("source-digits").write_text(content)
        StageProcess(stage, Path("log"), {}).run(60)
    push_stages(Path("push.log"), ["ingest@digits"])
    assert [file.read_text() for file in remote.rglob("*") if file.is_file()] == ["some"]
    assert is_owed()
    shutil.rmtree(".dvc/cache")
    with pytest.raises(PushFailed, match="train@one: the cache lacks some of their outs"):
        push_stages(Path("push.log"), ["train@one"])


def test_a_flipped_byte_is_not_pushed(toy, tmp_path_factory):
    remote = tmp_path_factory.mktemp("remote")
    subprocess.run([DVC, "remote", "add", "-q", "--default", "local", remote], check=True)
    StageProcess("ingest@digits", Path("log"), {}).run(60)
    (cached,) = (file for file in Path(".dvc/cache/files").rglob("*") if file.is_file())
    cached.chmod(0o644)
    cached.write_bytes(b"9")
    cached.chmod(0o444)
    with pytest.raises(PushFailed):
        push(Path("push.log"))
    assert f"{cached}: deleted, it held other bytes" in Path("push.log").read_text()
    assert not [file for file in remote.rglob("*") if file.is_file()]
    push(Path("push.log"))  # there is nothing to push, which DVC says in passing only
    assert is_owed()


def test_a_remote_that_refuses_is_told(project, remote, monkeypatch):
    remote.spoil(monkeypatch)
    with pytest.raises(PushFailed, match=rf"the DVC remote took no push: .*({remote.refusal})"):
        push(Path("push.log"))
