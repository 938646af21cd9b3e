"""The project's files as they are, for workspaces elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from data.errors import UserError
from flows.remote_stages import snapshot


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project below the top of its repository: files that are committed, changed, new, ignored, and left out."""
    folder = tmp_path / "repository/project"
    (folder / "below").mkdir(parents=True)
    (folder / "below/kept").write_text("kept")
    (folder / "changed").write_text("before")
    (folder / "gone").write_text("")
    (folder / "dvc.lock").write_text("")
    (folder.parent / "another").write_text("")
    monkeypatch.chdir(folder)
    for command in ("init -q ..", "add -A ..", "-c user.name=a -c user.email=a@b commit -qm all"):
        subprocess.run(["git", *command.split()], check=True)
    (folder / "changed").write_text("after")
    (folder / "new").write_text("new")
    (folder / "new").chmod(0o755)
    (folder / "gone").unlink()
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "run.log").write_text("")
    (folder / ".darkroom").mkdir()
    (folder / ".darkroom/state").write_text("")
    return folder


def state() -> str:
    return subprocess.run(
        "git status --porcelain; git count-objects; git rev-parse HEAD",
        shell=True,
        capture_output=True,
        text=True,
    ).stdout


def test_uncommitted_changes_arrive_and_the_repository_stays_as_it_is(project, tmp_path):
    before = state()
    name = snapshot.take(tmp_path / "pack")
    assert state() == before
    snapshot.check_out(name, tmp_path / "pack", tmp_path / "elsewhere")
    found = {
        str(file.relative_to(tmp_path / "elsewhere")): file.read_text()
        for file in (tmp_path / "elsewhere").rglob("*")
        if file.is_file() and ".git" not in file.parts
    }
    assert found == {"below/kept": "kept", "changed": "after", "new": "new", ".gitignore": "*.log\n"}
    assert (tmp_path / "elsewhere/new").stat().st_mode & 0o100
    assert snapshot.take(tmp_path / "again") == name
    (project / "new").write_text("newer")
    assert snapshot.take(tmp_path / "again") != name


def test_a_damaged_pack_is_refused(project, tmp_path):
    name = snapshot.take(tmp_path / "pack")
    content = bytearray((tmp_path / "pack").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "pack").write_bytes(content)
    with pytest.raises(UserError, match="git index-pack: "):
        snapshot.check_out(name, tmp_path / "pack", tmp_path / "elsewhere")


def test_a_heap_of_images_that_git_does_not_ignore_is_told(project, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "LIMIT_MB", 0.001)
    (project / "photo.png").write_bytes(bytes(2000))
    with pytest.raises(UserError, match=r"the largest is photo\.png\. Name images"):
        snapshot.take(tmp_path / "pack")


def test_without_a_repository_it_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match=r"git ls-files: .*not a git repository"):
        snapshot.take(tmp_path / "pack")
