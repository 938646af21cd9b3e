"""An SQLite store on a file system that several machines reach belongs to one of them."""

from __future__ import annotations

import json

import pytest

from components.registry import mlflow_store, sqlite_host
from data.errors import UserError

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:50 / /mnt rw - tmpfs tmpfs rw
24 23 0:51 / /mnt/the\040team rw shared:2 master:3 - nfs4 server:/team rw,vers=4.2
25 24 8:2 / /mnt/the\040team/disk rw - xfs /dev/sdb1 rw
26 22 0:52 / /over rw - ext4 /dev/sdc1 rw
27 22 0:53 / /over rw - cifs //server/over rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/a/b.db", "ext4"),
        ("/mnt/the team/b.db", "nfs4"),
        ("/mnt/the team/disk/b.db", "xfs"),
        ("/mnt/the teams/b.db", "tmpfs"),
        ("/over/b.db", "cifs"),
    ],
)
def test_the_kind_is_that_of_the_last_mount_above(path, kind, tmp_path, monkeypatch):
    (tmp_path / "mounts").write_text(MOUNTS.lstrip())
    monkeypatch.setattr(sqlite_host, "_MOUNTS", tmp_path / "mounts")
    assert sqlite_host.kind_of_file_system(sqlite_host.Path(path)) == kind


def test_on_this_disk_nothing_is_recorded(sqlite_project):
    mlflow_store.experiment("e")
    assert not list(sqlite_project.rglob("*.host"))


@pytest.fixture
def shared(monkeypatch):
    """Every file system is one of a network, to which the machine of the test has the host name ``ours``."""
    monkeypatch.setattr(sqlite_host, "LOCAL", frozenset())
    monkeypatch.setattr(sqlite_host.platform, "node", lambda: "ours")
    mlflow_store._open.cache_clear()
    yield
    mlflow_store._open.cache_clear()


def test_another_machine_is_refused_until_people_say_that_the_first_is_gone(
    sqlite_project, shared, tmp_path, monkeypatch
):
    mlflow_store.experiment("e")
    for file in ("_BOOT", "_MACHINE"):
        (tmp_path / file).write_text("another\n")
        monkeypatch.setattr(sqlite_host, file, tmp_path / file)
    monkeypatch.setattr(sqlite_host.platform, "node", lambda: "theirs")
    mlflow_store._open.cache_clear()
    with pytest.raises(UserError, match="ours uses this SQLite store too") as told:
        mlflow_store.experiment("e")
    record = sqlite_project / ".darkroom/mlflow/mlflow.db.host"
    assert str(told.value).endswith(f"delete {record}")
    record.unlink()
    assert mlflow_store.experiment("e")


def test_a_machine_stays_itself(sqlite_project, shared, tmp_path, monkeypatch):
    """With another host name, as another container on it has, and started anew, with another id of its boot."""
    mlflow_store.experiment("e")
    record = sqlite_project / ".darkroom/mlflow/mlflow.db.host"
    monkeypatch.setattr(sqlite_host.platform, "node", lambda: "a-container")
    sqlite_host.claim(sqlite_project / ".darkroom/mlflow/mlflow.db")
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr(sqlite_host, "_BOOT", tmp_path / "boot")
    sqlite_host.claim(sqlite_project / ".darkroom/mlflow/mlflow.db")
    assert json.loads(record.read_text())["boot"] == "another"
