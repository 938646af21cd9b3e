"""Versions are removed with what their runs hold; the ledger tells which, also of what was killed on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from components import register
from components.project.layout import MLFLOW
from components.project.sections import GcPolicy
from components.promotion import champion
from components.registry import artifact_places, ledger, mlflow_store, removal, retention, versions
from data.errors import UserError
from tests.components import workspace

NOW_MS = 1 << 42  # in 2109: everything is old
POLICY = GcPolicy(keep_versions=1, keep_days=1)


def fill(count: int) -> None:
    """Register that many versions of ``m``; the first is champion."""
    for seed in range(count):
        workspace.export(seed=seed)
        register.run("m")
    model = versions.model("m")
    champion.move(model, model.version(1), None, kind="promotion", by="ada", reasons=[], evidence={})


def collect() -> None:
    model = versions.model("m")
    found = retention.of(model, ledger.history("m"), POLICY, NOW_MS)
    runs = removal.unneeded(mlflow_store.settled("darkroom/m"), model, found, POLICY, NOW_MS)
    removal.remove(model, found.gone(model), runs, POLICY)


def artifacts() -> list[str]:
    return sorted(folder.name for folder in (MLFLOW / "artifacts/darkroom-m").iterdir())


def numbers() -> list[int]:
    return [version.number for version in versions.model("m").versions]


def told() -> list[str]:
    return [entry.reasons[0] for entry in ledger.history("m") if entry.kind == "collection"]


def test_versions_go_with_their_artifacts_and_the_rest_can_be_had(sqlite_project):
    fill(4)
    before = {version.number: version for version in versions.model("m").versions}
    collect()
    assert numbers() == [1, 4]
    assert artifacts() == sorted(before[number].run_id for number in (1, 4))
    for version in versions.model("m").versions:
        versions.fetch(version).check_golden()
    assert told() == ["removed: 2-3"]
    (entry,) = [one for one in ledger.history("m") if one.kind == "collection"]
    assert [one["bundle_sha256"] for one in ledger.evidence(entry)["versions"]] == [
        before[number].bundle_sha256 for number in (2, 3)
    ]
    (standing,) = champion.standings()
    assert (standing.champion, standing.recorded, standing.moved_by_hand) == (1, 1, False)
    collect()
    assert told() == ["removed: 2-3"]


def test_what_a_kill_leaves_is_taken_up(sqlite_project, monkeypatch):
    """Killed after every deletion of MLflow's: of three versions, then of their three runs."""
    fill(5)
    client, kills = mlflow_store.client(), 0

    def then_die(delete):
        def deleting(*arguments):
            delete(*arguments)
            raise KeyboardInterrupt

        return deleting

    monkeypatch.setattr(mlflow_store, "delete_version", then_die(mlflow_store.delete_version))
    monkeypatch.setattr(client, "delete_run", then_die(client.delete_run))
    while True:
        try:
            collect()
            break
        except KeyboardInterrupt:
            kills += 1
            assert {1, 5} <= set(numbers())
    assert kills == 6
    assert (numbers(), len(artifacts()), told()) == ([1, 5], 2, ["removed: 2-4"])


def test_a_champion_whose_version_was_deleted_keeps_its_run(sqlite_project):
    fill(3)
    sha256 = versions.champion("m").bundle_sha256
    mlflow_store.client().delete_model_version("m", "1")
    collect()
    assert numbers() == [3]
    assert len(artifacts()) == 2
    assert versions.fetch(versions.of_run("m", 1, sha256)).sha256 == sha256


def test_a_version_that_got_an_alias_on_another_machine_meanwhile_stays(sqlite_project, monkeypatch):
    monkeypatch.setattr(artifact_places, "is_embedded", lambda address: False)
    fill(3)
    model = versions.model("m")
    found = retention.of(model, ledger.history("m"), POLICY, NOW_MS)
    mlflow_store.client().set_registered_model_alias("m", "staging", "2")
    with pytest.raises(UserError, match="m version 2: became staging meanwhile"):
        removal.remove(model, found.gone(model), [], POLICY)
    assert numbers() == [1, 2, 3]


def test_sizes_are_those_of_the_files(sqlite_project):
    fill(1)
    (run,) = mlflow_store.settled("darkroom/m")
    files = [file for file in Path(MLFLOW / "artifacts/darkroom-m").rglob("*") if file.is_file()]
    assert removal.sizes([run]) == [sum(file.stat().st_size for file in files)]


def test_spans():
    assert removal.spans([9, 1, 2, 3, 5]) == "1-3, 5, 9"
