"""What git tells of the project."""

from __future__ import annotations

import subprocess

import pytest

from components.project import git
from data.errors import UserError


def test_what_there_is_and_what_there_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git.ask("rev-parse", "HEAD") is None
    subprocess.run(["git", "init", "-q"], check=True)
    assert git.ask("status", "--porcelain") == "" and git.ask("rev-parse", "HEAD") is None
    monkeypatch.setenv("PATH", "")
    assert git.ask("status") is None


def test_a_folder_of_another_user_is_told_with_its_mend(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UserError) as error:
        git.ask("status")
    assert f"git config --global --add safe.directory {tmp_path}" in str(error.value)


def test_what_runs_write_is_no_change_of_the_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git.is_changed()  # nobody knows
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / ".dvc").mkdir()
    for file in git.WRITTEN_BY_RUNS:
        (tmp_path / file).write_text("a run wrote this")
    assert not git.is_changed()
    (tmp_path / "code.py").write_text("")
    assert git.is_changed()
