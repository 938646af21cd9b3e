"""What a remote gives is never taken unseen, whoever added it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.config import Config

from data.errors import UserError
from flows.stages import verified_remotes
from flows.stages.process import StageProcess
from flows.stages.push import push
from tests.flows.remotes import DVC


def test_a_flipped_byte_in_a_remote_that_was_added_later_is_refused(toy, tmp_path_factory):
    remote, clone = tmp_path_factory.mktemp("remote"), tmp_path_factory.mktemp("clone")
    subprocess.run([DVC, "remote", "add", "-q", "--default", "team", remote], check=True)
    (told,) = verified_remotes.verify()
    assert told.startswith(".dvc/config: remote 'team': set verify = true")
    StageProcess("ingest@digits", Path("log"), {}).run(60)
    push(Path("push.log"))
    (stored,) = (file for file in remote.rglob("*") if file.is_file())
    stored.chmod(0o644)
    stored.write_bytes(b"9")
    shutil.copytree(toy, clone, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out", "cache", "tmp"))
    pulled = subprocess.run([DVC, "pull", "ingest@digits"], cwd=clone, capture_output=True, text=True)
    assert pulled.returncode != 0
    assert "out/ingest-digits" in pulled.stderr
    assert not (clone / "out/ingest-digits").exists()


def test_only_what_says_nothing_is_set_and_comments_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".dvc").mkdir()
    config = "# ours\n[core]\n    remote = a\n['remote \"a\"']\n    # the team's\n    url = s3://a\n"
    meant = "['remote \"b\"']\n    url = /b\n    verify = false\n"
    here = "['remote \"c\"']\n    url = /c, with a comma\n['remote \"a\"']\n    access_key_id = x\n"
    Path(".dvc/config").write_text(config + meant)
    Path(".dvc/config.local").write_text(here)
    assert [told.partition(":")[0] for told in verified_remotes.verify()] == [
        ".dvc/config",
        ".dvc/config.local",
    ]
    assert Path(".dvc/config").read_text() == config + "    verify = true\n" + meant
    assert Path(".dvc/config.local").read_text() == here.replace("comma\n", "comma\n    verify = true\n")
    assert verified_remotes.verify() == []


def test_a_remote_of_the_account_is_verified_in_this_project(tmp_path, monkeypatch):
    for level in ("system", "global"):
        monkeypatch.setenv(f"DVC_{level.upper()}_CONFIG_DIR", str(tmp_path / level))
        (tmp_path / level).mkdir()
        text = f"['remote \"{level}\"']\n    url = /{level}\n['remote \"meant\"']\n    url = /m\n    verify = false\n"
        (tmp_path / level / "config").write_text(text)
    assert [str(file.parent) for file in verified_remotes.outer_files()] == [
        Config.get_dir(level) for level in ("system", "global")
    ]
    (tmp_path / "project/.dvc").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    assert sorted(told.split(" set ")[0] for told in verified_remotes.verify()) == [
        ".dvc/config.local: remote 'global':",
        ".dvc/config.local: remote 'system':",
    ]
    remotes = Config(".dvc")["remote"]
    assert {name: remotes[name].get("verify") for name in ("system", "global", "meant")} == {
        "system": True,
        "global": True,
        "meant": False,
    }
    assert verified_remotes.verify() == []
    assert (tmp_path / "global/config").read_text() == text.replace("system", "global")


def test_a_config_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core\n")
    with pytest.raises(UserError, match=r"^\.dvc/config: "):
        verified_remotes.verify()
