"""A heap of objects on real servers: what is there, and how some of it goes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from data.errors import UserError
from flows.collection import stores
from flows.stages.push import push
from tests.flows.remotes import DVC
from tests.flows.stages.test_push import project, remote  # noqa: F401 -- fixtures: an S3 and an SSH server


def test_objects_of_a_remote_are_seen_and_removed(project):  # noqa: F811
    from dvc.repo import Repo

    push(Path("push.log"))
    with Repo(".") as repo:
        there, cache = stores.remote(repo), stores.cache(repo)
        assert there.sizes == cache.sizes
        (name,) = there.sizes
        stores.remove(there, [name], None)
        assert not stores.remote(repo).sizes
        repo.push()
        assert stores.remote(repo).sizes == cache.sizes  # DVC does not take it for being there still


def test_a_remote_that_does_not_answer_is_told(toy):
    from dvc.repo import Repo

    subprocess.run([DVC, "remote", "add", "-q", "--default", "r", "ssh://127.0.0.1:9/nowhere"], check=True)
    with Repo(".") as repo, pytest.raises(UserError, match="the DVC remote does not answer"):
        stores.remote(repo)


def test_what_a_folder_names_goes_after_it_and_after_what_the_run_cache_says(toy, monkeypatch):
    from dvc.repo import Repo

    objects, runs = toy / ".dvc/cache/files/md5", toy / ".dvc/cache/runs/ab/abcd"
    names = {"a" * 32: b"file", "b" * 32 + ".dir": json.dumps([{"md5": "a" * 32, "relpath": "f"}]).encode()}
    for name, content in names.items():
        (objects / name[:2]).mkdir(parents=True)
        (objects / name[:2] / name[2:]).write_bytes(content)
    runs.mkdir(parents=True)
    (runs / "it").write_text(f"cmd: c\nouts:\n- path: out\n  md5: {'b' * 32}.dir\n")
    (runs / "other").write_text(f"cmd: c\ndeps:\n- path: a\n  md5: {'a' * 32}\nouts:\n- md5: {'c' * 32}\n")
    order = []
    unlink = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda path, **options: (order.append(path.name), unlink(path, **options))
    )
    with Repo(".") as repo:
        cache = stores.cache(repo)
        assert cache.sizes == {name: len(content) for name, content in names.items()}
        assert stores.whole({"b" * 32 + ".dir"}, [cache]) == set(names)
        stores.remove(cache, list(names), Path(repo.stage_cache.cache_dir))
        assert not stores.cache(repo).sizes
    assert order == ["it", "b" * 30 + ".dir", "a" * 30]
    assert (runs / "other").exists()


def test_a_folder_s_object_that_is_damaged_is_told(toy):
    from dvc.repo import Repo

    folder = toy / ".dvc/cache/files/md5/bb"
    folder.mkdir(parents=True)
    (folder / ("b" * 30 + ".dir")).write_text("[{")
    with Repo(".") as repo, pytest.raises(UserError, match="is damaged, so nobody knows what it names"):
        stores.whole({"b" * 32 + ".dir"}, [stores.cache(repo)])
