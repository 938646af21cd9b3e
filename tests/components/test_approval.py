"""Versions that wait for people: what they need, who may speak, and what makes their word void."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from components import gate, register
from components.project import layout
from components.project.sections import GatePolicy
from components.registry import approval, ledger, versions
from data import atomic
from data.errors import UserError
from tests.components import workspace

ACCURATE = {"thresholds": {"accuracy": {"at_least": 0.7}}}


@pytest.fixture
def waiting(sqlite_project) -> gate.Decision:
    """Version 1, which every check speaks for and which ada or grace may approve."""
    policy(by=["ada", "grace"])
    return put()


def policy(**more: object) -> None:
    workspace.write_params({"m": {**ACCURATE, "approval": "required", **more}})


def put(noise: float = 0.0, seed: int = 0) -> gate.Decision:
    workspace.export(noise=noise, seed=seed)
    register.run("m")
    return gate.run("m")


def approve(by: str = "ada", verdict: str = "approved", reason: str = "") -> gate.Decision:
    return gate.approve("m", None, verdict=verdict, by=by, reason=reason)


def champion() -> int | None:
    found = versions.champion("m")
    return found.number if found else None


def test_the_gate_decides_with_all_evidence_and_moves_nothing(waiting):
    assert (waiting.verdict, waiting.promoted, champion()) == ("pending", False, None)
    assert waiting.evidence["checks"]["service"]["holds"]
    assert "waits for 1 approval of ada, grace until " in waiting.reasons[0]
    assert "darkroom approve m --version 1" in waiting.reasons[0]
    # Asked again, by a run or a person, it says the same, and a run has nothing to do.
    assert gate.run("m").verdict == gate.run("m", by="ada").verdict == "pending"
    assert [entry.verdict for entry in ledger.history("m")] == ["pending"]
    sha256 = versions.model("m").version(1).bundle_sha256
    assert gate.is_decided(versions.model("m"), sha256)


def test_an_approval_moves_the_champion_and_is_kept(waiting):
    found = approve(reason="looked at the masks")
    assert (found.verdict, found.promoted, champion()) == ("promoted", True, 1)
    assert found.reasons[0].startswith("approved by ada at 20")
    assert [(e.kind, e.verdict, e.by) for e in ledger.history("m")] == [
        ("decision", "pending", "gate"),
        ("approval", "approved", "ada"),
        ("promotion", "", "ada"),
    ]
    assert ledger.history("m")[1].reasons == ("looked at the masks",)
    unchanged = gate.run("m")
    assert unchanged.verdict == "unchanged" and unchanged.evidence == waiting.evidence
    with pytest.raises(UserError, match="m version 1: is champion already"):
        approve("grace", verdict="rejected", reason="too late")


def test_who_is_not_named_may_not(waiting):
    with pytest.raises(UserError, match=r"params\.yaml: gate\.m\.by: 'adda' may not .* Did you mean 'ada'"):
        approve(by="adda")
    assert champion() is None and len(ledger.history("m")) == 1


def test_as_many_people_as_the_policy_asks_for(sqlite_project):
    policy(approvals=2)
    put()
    assert "waits for 1 approval until" in approve("ada").reasons[0]
    assert approve("ada").verdict == "pending"  # once more is no second person
    found = approve("grace")
    assert (found.verdict, champion()) == ("promoted", 1)
    assert ledger.history("m")[-1].by == "ada, grace"


def test_a_rejection_needs_a_reason_and_is_final(waiting):
    with pytest.raises(UserError, match="--reason"):
        approve(verdict="rejected")
    found = approve(verdict="rejected", reason="blurs hands")
    assert (found.verdict, champion()) == ("rejected", None)
    assert found.reasons[0].startswith("rejected by ada at ") and found.reasons[1] == "blurs hands"
    with pytest.raises(UserError, match="rejected by ada"):
        approve("grace")
    assert gate.run("m").verdict == "rejected"
    # A person who asks the gate anew gets a decision that waits again.
    assert gate.run("m", by="ada").verdict == "pending"
    assert approve("grace").promoted


@pytest.mark.parametrize("changed", ["policy", "data", "champion"])
def test_what_the_decision_was_about_changes_and_the_word_is_void(waiting, changed):
    if changed == "policy":
        policy(by=["ada", "grace"], margin=0.02)
    elif changed == "data":
        spec = layout.prepared("shapes") / "spec.json"
        atomic.write_json(spec, {**json.loads(spec.read_text()), "sha256": "0" * 64})
    else:
        workspace.export(seed=1)
        register.run("m")
        versions.point("m", "champion", 2)
        versions.point("m", "challenger", 1)
    with pytest.raises(UserError, match=r"m version 1: the gate has not decided .* darkroom promote m"):
        approve()
    assert champion() == (2 if changed == "champion" else None)


def test_what_was_refused_cannot_be_approved(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 1.0}}, "approval": "required"}})
    assert put(noise=0.5).verdict == "refused"
    with pytest.raises(UserError, match="does not wait for an approval: the gate's word is 'refused'"):
        approve()


def test_what_a_waiver_let_pass_waits_for_people_all_the_same(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 1.0}}, "approval": "required"}})
    put(noise=0.5)
    waived = gate.run("m", waiver=gate.Waiver("ada", "a demo"), by="ada")
    assert (waived.verdict, champion()) == ("pending", None)
    assert gate.run("m").verdict == "refused"
    assert (approve("grace").verdict, champion()) == ("promoted", 1)


def test_nobody_in_time_is_nobody_until_the_gate_is_asked_anew(waiting, monkeypatch):
    (decision,) = ledger.history("m")
    rule = GatePolicy(approval="required", expires="12h")
    decided = datetime.fromisoformat(decision.at)
    assert approval.of(decision, [], rule, decided + timedelta(hours=11)).verdict == "pending"
    lapsed = approval.of(decision, [], rule, decided + timedelta(hours=13))
    assert (
        lapsed.verdict == "lapsed"
        and "darkroom promote m --version 1 asks the gate anew" in lapsed.reasons[0]
    )
    # An approval that came in time counts later, too.
    given = replace(decision, kind="approval", verdict="approved", by="ada", about=decision.id, id="another")
    assert approval.of(decision, [given], rule, decided + timedelta(days=9)).verdict == "approved"


def test_a_move_that_was_cut_off_after_the_approval_is_done_by_the_next_run(waiting, monkeypatch):
    with monkeypatch.context() as killed, pytest.raises(RuntimeError):
        killed.setattr(gate.promotion, "move", lambda *_, **__: (_ for _ in ()).throw(RuntimeError()))
        approve()
    assert champion() is None
    assert not gate.is_decided(versions.model("m"), versions.model("m").version(1).bundle_sha256)
    assert (gate.run("m").verdict, champion()) == ("promoted", 1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"by": ["ada"]}, "by is about approvals, and none is needed"),
        ({"approval": "required", "approvals": 2, "by": ["ada"]}, "2 approvals are needed, and 'by' names 1"),
        ({"approval": "required", "expires": "soon"}, "expires"),
        ({"approval": "yes"}, "approval"),
    ],
)
def test_a_policy_that_cannot_be_met_is_refused(values, told):
    with pytest.raises(ValueError, match=told):
        GatePolicy.model_validate(values)


def test_all_else_of_the_ledger_knows_moves_from_words(waiting):
    approve()
    entries = ledger.history("m")
    assert [champion.version for champion in ledger.served(entries)] == [1]
    assert ledger.recorded(entries).version == 1
