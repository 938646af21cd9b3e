"""Versions that somebody deleted in MLflow: the ledger remembers what was champion and what was taken back."""

from __future__ import annotations

import shutil
import time

import pytest

from components import gate, register
from components.project.layout import MLFLOW, STATE
from components.promotion import champion
from components.registry import ledger, mlflow_store, versions
from data.errors import UserError
from tests.components import workspace

HOUR_S = 3600


@pytest.fixture(autouse=True)
def policy(sqlite_project, answered_here):
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.3}}}})


def _put(noise: float, seed: int = 0) -> gate.Decision:
    workspace.export(noise=noise, seed=seed)
    register.run("m")
    return gate.run("m")


def _delete(number: int) -> None:
    mlflow_store.client().delete_model_version("m", str(number))


def test_what_was_rolled_back_and_deleted_is_registered_again_and_held():
    _put(0.25)
    _put(0.0)
    champion.rollback("m", by="ada", reason="flickers")
    _delete(2)
    assert register.run("m").created
    held = gate.run("m")
    assert (held.verdict, held.promoted, versions.champion("m").number) == ("held", False, 1)


def test_a_candidate_is_held_against_a_champion_that_was_deleted():
    _put(0.25)
    assert _put(0.0).promoted
    deleted = versions.champion("m").bundle_sha256
    _delete(2)
    assert versions.champion("m") is None
    worse = _put(0.5, seed=1)
    assert (worse.verdict, worse.promoted) == ("refused", False)
    assert worse.evidence["question"]["champion"] == deleted
    (standing,) = champion.standings()
    assert (standing.champion, standing.recorded, standing.deleted) == (None, 2, True)
    now, before = champion.rollback("m", 1, by="ada")
    assert (now.number, before, versions.champion("m").number) == (1, 2, 1)
    (standing,) = champion.standings()
    assert (standing.moved_by_hand, standing.deleted) == (False, False)


def test_a_champion_whose_bundle_is_nowhere_leaves_the_decision_to_a_person():
    _put(0.0)
    _delete(1)
    shutil.rmtree(STATE / "bundles", ignore_errors=True)
    shutil.rmtree(MLFLOW / "artifacts" / "darkroom-m")
    refused = _put(0.0, seed=1)
    (reason,) = refused.reasons
    assert (refused.verdict, "version 1 was champion and was deleted" in reason) == ("refused", True)
    assert gate.run("m", waiver=gate.Waiver("ada", "looked at it")).promoted


def test_a_deleted_model_stays_in_status_and_history():
    _put(0.0)
    mlflow_store.client().delete_registered_model("m")
    (standing,) = champion.standings()
    assert (standing.name, standing.champion, standing.recorded, standing.deleted) == ("m", None, 1, True)
    assert [entry.kind for entry in ledger.history("m")] == ["decision", "promotion"]
    with pytest.raises(UserError, match="no earlier champion"):
        champion.rollback("m", by="ada")


def test_numbers_that_are_given_again_are_other_versions():
    _put(0.25)
    _put(0.0)
    mlflow_store.client().delete_registered_model("m")
    workspace.export(noise=0.1, seed=3)
    assert register.run("m").version == 1
    with pytest.raises(UserError, match="Earlier champions: none"):
        champion.rollback("m", 1, by="ada")
    (standing,) = champion.standings()
    assert (standing.recorded, standing.deleted) == (2, True)


def test_a_clock_that_is_behind_changes_no_order(monkeypatch):
    _put(0.25)
    _put(0.1, seed=2)
    clock = time.time
    with monkeypatch.context() as behind:
        behind.setattr(time, "time", lambda: clock() - HOUR_S)
        _put(0.0)
    history = ledger.history("m")
    assert [version for version, _ in ledger.served(history)] == [1, 2, 3]
    assert ledger.history() == history
    with monkeypatch.context() as behind:
        behind.setattr(time, "time", lambda: clock() - 2 * HOUR_S)
        champion.rollback("m", by="ada")
    register.run("m")
    assert gate.run("m").verdict == "held"
