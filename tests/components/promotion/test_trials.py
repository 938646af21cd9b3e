"""A version on trial: the gate decides, moves nothing, and moves the alias once requests showed enough."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import typer

from components import gate, register
from components.alerts import from_ledger
from components.project.sections import TrialPolicy
from components.promotion import champion
from components.registry import ledger, versions
from components.serving.rollout import fallen
from components.serving.rollout.fallen import Fallen
from components.serving.rollout.trial import Demand
from components.serving.telemetry import shared
from components.serving.telemetry.counters import Metrics
from data.errors import UserError
from flows.cli import registry
from flows.cli.registry import _status_row
from flows.retraining import summary
from tests.components import workspace
from tests.components.serving.server import Server
from tests.components.serving.shop import until, version_of
from tests.flows.cli import command

SHADOW = {"requests": 100, "agreement": 0.9, "failures": 0.0, "latency": 5.0}


def policy(**more: object) -> None:
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.3}}, "shadow": SHADOW, **more}})


def put(seed: int) -> gate.Decision:
    workspace.export(seed=seed)
    register.run("m")
    return gate.run("m")


def counted(agreed: int, failed: int = 0) -> None:
    """Have a server of this folder count requests that both versions answered in the same time."""
    champion, challenger = (
        versions.model("m").alias(alias).bundle_sha256 for alias in ("champion", "challenger")
    )
    metrics = Metrics()
    metrics.shadow.add("m", champion, challenger, "agreed", by=agreed)
    metrics.shadow.add("m", champion, challenger, "failed", by=failed)
    for _ in range(agreed):
        metrics.shadow_ratio.observe(1.0, "m", champion, challenger)
    shared.SharedCounters(8080, 0).write(metrics.to_json(), {})


@pytest.fixture
def on_trial(sqlite_project, answered_here) -> gate.Decision:
    """Version 1 is champion; version 2, which every check speaks for, is on trial."""
    policy()
    first = put(0)
    assert first.promoted  # there was no champion that it could agree with
    return put(1)


def at() -> int:
    return versions.champion("m").number


def is_decided() -> bool:
    model = versions.model("m")
    return gate.is_decided(model, model.version(2).bundle_sha256)


def test_the_gate_decides_and_waits_for_requests(on_trial):
    assert (on_trial.verdict, on_trial.promoted, at()) == ("pending", False, 1)
    assert "is on trial" in on_trial.reasons[0] and "no server of this folder" in on_trial.reasons[1]
    assert on_trial.evidence["checks"]["comparison"]["holds"]
    counted(30)
    assert is_decided()  # a run has nothing to do
    again = gate.run("m")
    assert again.verdict == "pending" and "answered 30 of the 100 requests" in again.reasons[1]
    assert [entry.kind for entry in ledger.history("m")] == ["decision", "promotion", "decision"]
    with pytest.raises(UserError, match="waits for requests, and needs no approval"):
        gate.approve("m", None, verdict="approved", by="ada")


def test_enough_requests_move_the_alias_and_are_kept(on_trial):
    counted(150)
    assert not is_decided()
    decision = gate.run("m")
    assert (decision.verdict, decision.promoted, at()) == ("promoted", True, 2)
    assert "agreed with the champion on 150 of 150 requests" in decision.reasons[0]
    *_, decided, trial, move = ledger.history("m")
    assert (decided.verdict, trial.kind, trial.verdict, trial.about) == (
        "pending",
        "trial",
        "proved",
        decided.id,
    )
    assert (move.kind, move.by, ledger.evidence(trial)["agreed"]) == ("promotion", "gate", 150)
    assert gate.run("m").verdict == "unchanged"


def test_promote_waits_for_a_trial_where_it_is_told_to(on_trial, monkeypatch):
    app = typer.Typer()
    registry.add_to(app)
    assert "m version 2: pending" in command.call(app, "promote", "m", code=1)
    # Two looks find too few requests, and the third one enough.
    meanwhile = iter([30, 60, 150])
    monkeypatch.setattr(registry, "time", SimpleNamespace(sleep=lambda _: counted(next(meanwhile))))
    assert "m version 2: promoted" in command.call(app, "promote", "m", "--wait")
    assert (next(meanwhile, None), at()) == (None, 2)


def test_a_trial_that_failed_is_a_refusal_that_only_a_waiver_overrules(on_trial):
    counted(150, failed=1)
    assert not is_decided()
    decision = gate.run("m")
    assert (decision.verdict, at()) == ("refused", 1) and "failed on 1 of 151" in decision.reasons[0]
    counted(500)  # by a server that was started again: what was decided stays
    assert is_decided()
    assert gate.run("m", by="ada").verdict == "refused"
    (row,) = summary.rows(["m"])
    assert (row["verdict"], row["reasons"]) == ("refused", decision.reasons)
    waived = gate.run("m", waiver=gate.Waiver("ada", "that one was the network"), by="ada")
    assert (waived.verdict, at()) == ("promoted", 2)


def test_people_and_requests_both(sqlite_project, answered_here):
    policy(approval="required")
    assert put(0).verdict == "pending"
    assert gate.approve("m", None, verdict="approved", by="ada").promoted
    put(1)
    counted(150)
    proved = gate.run("m")
    assert (proved.verdict, at()) == ("pending", 1)
    assert any("waits for 1 approval" in reason for reason in proved.reasons)
    assert gate.approve("m", None, verdict="approved", by="ada").promoted


def test_a_cut_off_move_is_done_by_the_next_run(on_trial, monkeypatch):
    counted(150)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(gate.promotion, "move", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        gate.run("m")
    assert not is_decided()
    assert gate.run("m").promoted


@pytest.mark.parametrize(
    "values", [{"agreement": 1.0}, {"requests": 0}, {"failures": -0.1}, {"latency": 0.1}]
)
def test_a_demand_that_nothing_can_meet_is_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        TrialPolicy.model_validate(values)


def test_a_canary_that_fell_back_is_told_and_refused_until_something_else_is_asked(
    sqlite_project, answered_here
):
    asked = {"requests": 20, "agreement": 0.9, "failures": 0.0, "latency": None}
    policy(shadow=None, canary=asked)
    put(0)
    assert put(1).verdict == "pending"
    pair = [versions.model("m").version(number).bundle_sha256 for number in (1, 2)]
    metrics = Metrics()
    metrics.canary.add("m", *pair, "agreed", by=19)
    shared.SharedCounters(8080, 0).write(metrics.to_json(), {})
    fell = Fallen("m", "2", *pair, ("failed on 1 of 20 requests",))
    fallen.write(fell, Demand(80, 0.9, 0.0, None))
    note = _status_row(champion.standings()[0])[-1]
    assert "answering: agreed on 100.0% of 19 requests" in note
    assert "fell back: failed on 1 of 20 requests" in note
    assert not is_decided()
    refused = gate.run("m")
    assert (refused.verdict, at()) == ("refused", 1) and refused.reasons == ["failed on 1 of 20 requests"]
    # People are told once of it, whoever finds what: the server's note, or what the gate made of it.
    entry = next(entry for entry in ledger.history("m") if entry.kind == "trial")
    ((noted),) = fallen.since(0)
    assert from_ledger.fell_back(*noted).id == from_ledger.event_of(entry).id
    policy(shadow=None, canary=asked | {"failures": 0.1})
    assert gate.run("m").verdict == "pending"
    assert champion.standings()[0].fallen == ()


def test_a_canary_of_a_real_server_decides(sqlite_project, answered_here):
    canary = {"requests": 20, "steps": [20, 60], "agreement": 0.8, "latency": None, "key": "x-user"}
    policy(shadow=None, canary=canary)
    assert put(0).promoted and put(1).verdict == "pending"
    (sqlite_project / "dvc.yaml").touch()
    with Server(sqlite_project, "--poll", "0.1", "--workers", "2") as server:
        random, answered = np.random.default_rng(0), {"1": 0, "2": 0}

        def ask() -> gate.Decision | None:
            client = server.client()  # each connection may be another worker's
            for image in random.integers(0, 256, (50, 1, 4, 4, 1)).astype(np.uint8):
                user = f"user {random.integers(99)}"
                answered[client.infer("m", {"image": image}, **{"x-user": user})[0]] += 1
            client.close()
            decision = gate.run("m")
            return decision if decision.promoted else None

        decision = until(ask)
        until(lambda: version_of(server.client()) == "2")
    assert answered["1"] > 0 and answered["2"] >= 40  # two steps of twenty requests each
    *_, trial, move = ledger.history("m")
    assert (trial.verdict, move.kind, decision.verdict) == ("proved", "promotion", "promoted")
    assert ledger.evidence(trial)["agreed"] >= 32


def test_requests_of_a_real_server_decide(on_trial, sqlite_project):
    (sqlite_project / "dvc.yaml").touch()
    with Server(sqlite_project, "--poll", "0.1", "--shadow", "1.0") as server:
        client = server.client()
        random = np.random.default_rng(0)

        def ask() -> gate.Decision | None:
            for image in random.integers(0, 256, (50, 1, 4, 4, 1)).astype(np.uint8):
                assert client.infer("m", {"image": image})[0] in "12"
            decision = gate.run("m")
            return decision if decision.promoted else None

        assert version_of(client) == "1"
        decision = until(ask)
        until(lambda: version_of(client) == "2")
    assert decision.verdict == "promoted" and [e.kind for e in ledger.history("m")][-2:] == [
        "trial",
        "promotion",
    ]
