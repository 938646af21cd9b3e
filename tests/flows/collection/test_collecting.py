"""``darkroom gc`` on a real project: what is needed stays whole, the rest goes, whenever it is killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest

from components.promotion import champion
from components.registry import ledger, mlflow_store, version_record, versions
from data.errors import UserError
from flows import reproduction
from flows.cli.app import whole
from flows.collection import collecting
from flows.processes import locks
from tests.flows.cli.command import call
from tests.flows.collection import project as five


@pytest.fixture(scope="module")
def made(tmp_path_factory, sqlite_template) -> Path:
    """The project of :mod:`tests.flows.collection.project`, made once."""
    folder = tmp_path_factory.mktemp("five")
    store = folder / ".darkroom/mlflow/mlflow.db"
    store.parent.mkdir(parents=True)
    shutil.copy(sqlite_template, store)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        five.make(folder)
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch) -> Path:
    """A copy of it as the working directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "project"
    five.copy(made, folder)
    monkeypatch.chdir(folder)
    return folder


def collect(*, remote: bool = True, dry_run: bool = False) -> list:
    return collecting.run(remote=remote, dry_run=dry_run, tell=print)


def needed(store: Path) -> set[str]:
    """Return what must be in a store: all of the workspace and of tips; of versions that stay what they are made of."""
    names = set()
    for lock in (Path("dvc.lock").read_text(), five.committed("HEAD"), five.committed("first")):
        names |= set().union(*five.outs(lock).values())
    for number in five.STAY:
        of = five.outs(five.committed(f"HEAD~{2 * (5 - number)}"))
        names |= of["prepare"] | of["train"] | of["export"]
    return five.whole(store, names)


def files(folder: str) -> set[str]:
    return {str(path) for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".lock"}


def left() -> dict:
    """Return all that a collection decides about."""
    return {
        "versions": [version.number for version in versions.model("m").versions],
        "runs": {run.data.tags["bundle_sha256"] for run in mlflow_store.settled("darkroom/m")},
        "artifacts": len(list(Path(".darkroom/mlflow/artifacts/darkroom-m").iterdir())),
        "objects": [five.objects(store) for store in five.stores()],
        "state": files(".darkroom/bundles") | files(".darkroom/runs") | files(".darkroom/resume"),
        "told": [
            (entry.model, entry.reasons[:1])
            for entry in ledger.history()
            if entry.kind == "collection" and entry.model
        ],
    }


def check_that_what_is_needed_is_there() -> None:
    for store in five.stores():
        there = five.objects(store)
        assert needed(store) <= there
        folders = {name for name in there if name.endswith(".dir")}
        assert five.whole(store, folders) <= there  # also of those that nobody needs
    model = versions.model("m")
    assert model.aliases == {"champion": 4, "previous": 2, "challenger": 5}
    assert {version.number for version in model.versions} >= set(five.STAY)
    for version in model.versions:  # also those that are to go
        assert (
            Path(".darkroom/mlflow/artifacts/darkroom-m") / version.run_id / "artifacts/model/MLmodel"
        ).exists()


def test_what_is_kept_can_be_served_made_again_and_rolled_back_to(project, tmp_path):
    before = left()
    text = call(whole(), "gc", "--dry-run", "--remote")
    assert left() == before
    for word in ("m 2", "previous, a rollback can go to it", "m 1, 3", "HEAD, branches and tags", "would go"):
        assert word in text
    sizes = sum(line.size for line in collect(dry_run=True) if not line.why)
    before_bytes = taken()
    collect()
    assert before_bytes - taken() == sizes
    check_that_what_is_needed_is_there()
    after = left()
    assert (after["versions"], after["artifacts"], len(after["runs"])) == ([2, 4, 5], 3, 3)
    assert after["told"] == [("m", ("removed: 1, 3",))]
    for store, there in zip(five.stores(), after["objects"], strict=True):
        assert there == needed(store)
    assert {path.name for path in Path(".darkroom/bundles").iterdir()} == {
        v.bundle_sha256 for v in five.staying()
    }

    shutil.rmtree(".darkroom/bundles")
    for version in five.staying():
        versions.fetch(version).check_golden()  # as a server does before it serves one
        with contextlib.chdir(make_ready(version, tmp_path)):
            number = "old" if version.number < 3 else "new"
            assert Path("artifacts/data/shapes/prepared/data-seed").read_text() == number
    assert not [line for line in collect(dry_run=True) if not line.why]
    now, _ = champion.rollback("m", by="ada")
    assert now.number == 2


def make_ready(version: versions.Version, tmp_path: Path) -> Path:
    """Do what ``darkroom reproduce`` does before it makes a version again."""
    from dvc.repo import Repo

    folder = tmp_path / f"again-{version.number}"
    source = version_record.source(version, tmp_path)
    project = reproduction._check_out(reproduction._commit(version), folder, source)
    with contextlib.chdir(project), Repo(".") as repo:
        repo.checkout(["prepare"])
    return project


def taken() -> int:
    folders = [*five.stores(), Path(".darkroom/mlflow/artifacts/darkroom-m"), Path(".darkroom/bundles")]
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())


def _collect_in(folder: str, kill_before: int | None, counted) -> None:
    """Collect, count the changes of files in ``counted``, and die of SIGKILL before change ``kill_before``.

    By changes and not by the clock: half of a collection's time on one machine is all of it on another.
    """

    def watch(event: str, arguments: tuple) -> None:
        if event in _CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            if counted.value == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)
            counted.value += 1

    os.chdir(folder)
    sys.addaudithook(watch)
    collect()


_CHANGES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments_nothing_needed_is_lost(made, tmp_path, monkeypatch, kills):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["tests.flows.collection.test_collecting", "dvc.repo", "dvc.stage.cache"]
    )
    counted = processes.Value("q", 0)

    def run(name: str, kill_before: int | None) -> int:
        counted.value = 0
        five.copy(made, tmp_path / name)
        process = processes.Process(target=_collect_in, args=(str(tmp_path / name), kill_before, counted))
        process.start()
        process.join()
        return process.exitcode

    assert run("undisturbed", None) == 0
    changes = counted.value
    with contextlib.chdir(tmp_path / "undisturbed"):
        expected = left()
        assert expected["versions"] == [2, 4, 5]
    for number in random.Random(19).sample(range(changes), kills):
        name = f"killed-{number}"
        assert run(name, number) == -signal.SIGKILL
        with contextlib.chdir(tmp_path / name):
            check_that_what_is_needed_is_there()
            collect()
            assert left() == expected
        shutil.rmtree(tmp_path / name)


def test_nothing_goes_where_the_registry_does_not_answer_or_lost_what_it_had(project, monkeypatch):
    before = left()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="no answer"):
        collect()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/another.db")
    with pytest.raises(UserError, match=r"The registry has no version, but \.darkroom/bundles has"):
        collect()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    run = versions.find("m", 5).run_id
    shutil.move(f".darkroom/mlflow/artifacts/darkroom-m/{run}/artifacts/source", "source")
    with pytest.raises(UserError, match=r"m version 5: its dvc.lock cannot be downloaded"):
        collect()
    shutil.move("source", f".darkroom/mlflow/artifacts/darkroom-m/{run}/artifacts/source")
    Path(".git/HEAD").rename("HEAD")
    with pytest.raises(UserError, match="git does not tell what commits need, so nothing is deleted"):
        collect()
    assert left() == before


def test_a_remote_is_touched_only_when_all_its_users_are_named(project, tmp_path):
    before = five.objects(five.stores()[1])
    params = Path("params.yaml")
    text = params.read_text()
    params.write_text(text.replace("  users:\n  - .\n", ""))
    with pytest.raises(UserError, match=r"gc.users: is missing.*gc: \{users: \[\.\]\}"):
        collect()
    collect(remote=False)
    assert five.objects(five.stores()[1]) == before
    other = tmp_path / "other"
    (other / ".dvc").mkdir(parents=True)
    (other / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    gone = before - five.objects(five.stores()[0])
    (other / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  a:\n    outs:\n    - md5: {max(gone)}\n")
    params.write_text(text.replace("  - .\n", f"  - {other}\n"))
    with pytest.raises(UserError, match="this project is missing"):
        collect()
    params.write_text(text.replace("  - .\n", f"  - .\n  - {other}\n"))
    collect()
    after = five.objects(five.stores()[1])
    assert max(gone) in after and not after >= gone


def test_a_cache_outside_of_the_project_is_not_touched_without_its_users(project, tmp_path):
    shutil.move(".dvc/cache", tmp_path / "cache")
    with Path(".dvc/config").open("a") as config:
        config.write(f"[cache]\n    dir = {tmp_path / 'cache'}\n")
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("  users:\n  - .\n", ""))
    before = five.objects(tmp_path / "cache/files/md5")
    (line,) = [line for line in collect(remote=False) if line.where == "DVC cache"]
    assert "outside of this project" in line.why
    assert five.objects(tmp_path / "cache/files/md5") == before


def test_it_waits_for_nobody_who_works_in_the_folder(project):
    for name in (locks.RUN, locks.REPRODUCE):
        held = locks.hold(name)
        with pytest.raises(UserError, match=f"another `darkroom {name}` goes on"):
            collect()
        held.release()
    assert len(versions.model("m").versions) == 5
