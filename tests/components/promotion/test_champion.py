"""Moves of the champion: in order, recorded, reversible, and never from where it is not expected."""

from __future__ import annotations

import threading

import pytest

from components import gate, register
from components.promotion import champion
from components.registry import ledger, locks, mlflow_store, versions
from data.errors import UserError
from tests.components import workspace


@pytest.fixture
def three(project):
    """Three versions, each champion in its turn."""
    return _promote_three()


@pytest.fixture
def three_on_sqlite(sqlite_project):
    return _promote_three()


def _promote_three() -> None:
    """Move as the gate does, without its looking: this is about moves."""
    for seed in range(3):
        workspace.export(seed=seed)
        register.run("m")
        model = versions.model("m")
        champion.move(
            model,
            model.alias("challenger"),
            model.alias("champion"),
            kind="promotion",
            by="gate",
            reasons=[],
            evidence={},
        )


def _champion() -> int:
    return versions.champion("m").number


def test_rollback_goes_back_through_the_champions(three):
    assert versions.model("m").aliases == {"champion": 3, "previous": 2}
    assert [champion.rollback("m", by="ada")[0].number for _ in range(2)] == [2, 1]
    assert versions.model("m").aliases == {"champion": 1}
    with pytest.raises(UserError, match="no earlier champion"):
        champion.rollback("m", by="ada")
    assert _champion() == 1


def test_rollback_to_a_version_is_idempotent(three_on_sqlite):
    assert [champion.rollback("m", 1, by="ada")[0].number for _ in range(2)] == [1, 1]
    assert [entry.kind for entry in ledger.history("m")].count("rollback") == 1
    with pytest.raises(UserError, match=r"version 3 was no champion before\. Earlier champions: none"):
        champion.rollback("m", 3, by="ada")


def test_rollback_skips_what_was_deleted(three_on_sqlite):
    mlflow_store.client().delete_model_version("m", "2")
    assert champion.rollback("m", by="ada")[0].number == 1


def test_rollback_verifies_the_bundle_first(three_on_sqlite):
    run_id = versions.find("m", 2).run_id
    mlflow_store.client().log_text(run_id, "{}", "model/bundle/bundle.json")
    with pytest.raises(UserError, match="not the one that was registered"):
        champion.rollback("m", by="ada")
    assert _champion() == 3


def test_rollback_without_a_champion_is_told(sqlite_project):
    workspace.export()
    register.run("m")
    with pytest.raises(UserError, match="no champion yet"):
        champion.rollback("m", by="ada")


def test_an_alias_moved_by_hand_shows_and_rollback_undoes_it(three):
    mlflow_store.client().set_registered_model_alias("m", "champion", "1")
    (standing,) = champion.standings()
    assert (standing.moved_by_hand, standing.champion, standing.recorded) == (True, 1, 3)
    assert champion.rollback("m", by="ada")[0].number == 3
    (standing,) = champion.standings()
    assert (standing.moved_by_hand, standing.champion, standing.previous) == (False, 3, 2)


def test_a_move_from_elsewhere_is_refused_and_not_recorded(three):
    model = versions.model("m")
    mlflow_store.client().set_registered_model_alias("m", "champion", "2")
    before = ledger.history("m")
    with pytest.raises(UserError, match="it is at version 2, not at version 3"):
        champion.move(
            model, model.version(1), model.version(3), kind="promotion", by="gate", reasons=[], evidence={}
        )
    assert (_champion(), ledger.history("m")) == (2, before)


def test_a_move_against_another_at_the_same_moment_is_not_recorded(three_on_sqlite, monkeypatch):
    point = versions.point

    def overtaken(name: str, alias: str, number: int) -> None:
        point(name, alias, number)
        if alias == "champion":
            point(name, alias, 1)

    monkeypatch.setattr(versions, "point", overtaken)
    model = versions.model("m")
    with pytest.raises(UserError, match="it is at version 1, not at version 2"):
        champion.move(
            model, model.version(2), model.version(3), kind="promotion", by="gate", reasons=[], evidence={}
        )
    assert [version for version, _ in ledger.served(ledger.history("m"))] == [1, 2, 3]


@pytest.mark.parametrize(("arrived", "served"), [(True, [1, 2]), (False, [1, 2, 3])])
def test_a_move_that_was_killed_is_closed_by_the_next(three_on_sqlite, monkeypatch, arrived, served):
    point = versions.point

    def killed(name: str, alias: str, number: int) -> None:
        if arrived:
            point(name, alias, number)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(versions, "point", killed)
        champion.rollback("m", by="ada")
    with locks.of_models("m"):
        model = champion.mend("m")
    assert model.aliases == {"champion": served[-1], "previous": served[-2]}
    assert [version for version, _ in ledger.served(ledger.history("m"))] == served
    (standing,) = champion.standings()
    assert not standing.moved_by_hand


def test_promotions_at_once_are_one(project):
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.5}}}})
    workspace.export()
    register.run("m")
    decisions = []
    threads = [threading.Thread(target=lambda: decisions.append(gate.run("m"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(decision.verdict for decision in decisions) == ["promoted"] + ["unchanged"] * 3
    assert [entry.kind for entry in ledger.history("m")] == ["decision", "promotion"]
