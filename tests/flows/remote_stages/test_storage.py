"""Files beside DVC's objects, on a folder, a real S3 server that checks signatures, and a real SSH server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.errors import UserError
from flows.remote_stages import storage as storage_module
from flows.remote_stages.storage import Remote, Storage, of_project, open_elsewhere, open_here
from tests.flows import remotes
from tests.flows.remotes import DVC


@pytest.fixture(scope="module", params=["folder", "s3", "ssh"])
def storage(request, tmp_path_factory) -> Iterator[Storage]:
    """A remote of each kind."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "folder":
        yield Storage({"url": str(folder / "remote")})
        return
    with (
        getattr(remotes, request.param)(folder) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield Storage({"url": f"{server.url}/team-a", **server.settings})


def test_files_come_back_and_go(storage, tmp_path):
    assert storage.names("darkroom/resume") == []
    assert not storage.get("darkroom/resume/one/point", tmp_path / "back")
    assert not list(tmp_path.iterdir())
    for content in ("1", "22"):
        (tmp_path / "point").write_text(content)
        storage.put(tmp_path / "point", "darkroom/resume/one/point")
        assert storage.get("darkroom/resume/one/point", tmp_path / "below/back")
        assert (tmp_path / "below/back").read_text() == content
    storage.put(tmp_path / "point", "darkroom/resume/two")
    assert storage.names("darkroom/resume") == ["one/point", "two"]
    storage.remove_all("darkroom/resume/one")
    storage.remove_all("darkroom/resume/one")
    assert storage.names("darkroom/resume") == ["two"]
    storage.remove("darkroom/resume/two")
    storage.remove("darkroom/resume/two")
    assert storage.names("darkroom/resume") == []


def test_what_workers_are_told_of_the_remote(toy):
    with pytest.raises(UserError, match=r"core\.remote: is missing"):
        of_project()
    subprocess.run([DVC, "remote", "add", "-q", "--default", "--local", "there", "s3://team/a"], check=True)
    with pytest.raises(UserError, match="remote 'there' is not in it"):
        of_project()
    subprocess.run([DVC, "remote", "add", "-q", "--default", "there", "s3://team/a"], check=True)
    subprocess.run([DVC, "remote", "modify", "--local", "there", "secret_access_key", "secret"], check=True)
    assert of_project() == Remote("there", {"url": "s3://team/a", "verify": "true"})
    subprocess.run([DVC, "remote", "add", "-q", "-f", "--default", "there", "../below"], check=True)
    assert of_project().settings["url"] == str(toy.parent / "below")


def test_passwords_are_each_machine_s_own(toy, tmp_path, monkeypatch):
    """Head and worker get the same settings, and add what their own configuration says of a remote of this name."""
    opened = []
    monkeypatch.setattr(storage_module, "Storage", lambda settings: opened.append(dict(settings)))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "account"))
    subprocess.run([DVC, "remote", "add", "-q", "--default", "there", "ssh://somewhere/a"], check=True)
    for file, whose in ((".dvc/config.local", "the head's"), ("account/config", "the worker's")):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text(f"['remote \"there\"']\n    password = {whose}\n")
    remote = of_project()
    open_here(remote)
    open_elsewhere(remote)
    assert [one["password"] for one in opened] == ["the head's", "the worker's"]
    assert {one["url"] for one in opened} == {"ssh://somewhere/a"}
