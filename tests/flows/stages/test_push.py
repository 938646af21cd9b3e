"""Pushing to a real S3 server that checks signatures and to a real SSH server, and getting it all back in a clone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from data.errors import UserError
from flows.stages.process import StageProcess
from flows.stages.push import push
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


def test_a_remote_that_refuses_is_told(project, remote, monkeypatch):
    remote.spoil(monkeypatch)
    with pytest.raises(UserError, match=rf"the DVC remote took no push: .*({remote.refusal})"):
        push(Path("push.log"))
