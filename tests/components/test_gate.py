"""What becomes champion, what does not, and what is kept of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from components import gate, register
from components.bundles import bundle
from components.datasets import slices
from components.datasets.slices import Slices
from components.project import layout
from components.project.layout import STATE
from components.promotion import champion, comparison, smoke_test
from components.promotion.smoke_test import SmokeTest
from components.registry import ledger, mlflow_store, seen, version_record, versions
from components.serving.telemetry import shared
from components.serving.telemetry.counters import Metrics
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from tests import prepared_split
from tests.components import challenge, workspace

ACCURATE = {"thresholds": {"accuracy": {"at_least": 0.7}}}


mostly_on_sqlite = pytest.mark.parametrize(
    "project", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
"""For what the registry's own tests hold on both kinds of store."""


@pytest.fixture
def server() -> None:
    """For a test that needs the server that would serve the bundle."""


@pytest.fixture(autouse=True)
def _without_server(request) -> None:
    if "server" not in request.fixturenames:
        request.getfixturevalue("answered_here")


def _put(noise: float = 0.0, seed: int = 0, task: str = "classification") -> gate.Decision:
    """Export, register and decide."""
    workspace.export(task=task, noise=noise, seed=seed)
    register.run("m")
    return gate.run("m")


def _policy(task: str = "classification", **policy) -> None:
    workspace.write_params({"m": {**ACCURATE, **policy}}, task=task)


def test_first_worse_and_better(project, server):
    _policy()
    first = _put(noise=0.25)
    assert (first.verdict, first.promoted, versions.champion("m").number) == ("promoted", True, 1)
    assert first.evidence["checks"]["comparison"]["holds"] and first.evidence["champion_version"] is None

    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.3}}}})
    worse = _put(noise=0.5, seed=1)
    assert (worse.verdict, worse.promoted, versions.champion("m").number) == ("refused", False, 1)
    (overall,) = [reason for reason in worse.reasons if reason.startswith("comparison: accuracy: worse")]
    assert "paired 95 % interval [-" in overall
    assert "n = 300" in overall
    (difference, *_) = worse.evidence["checks"]["comparison"]["evidence"]["differences"]
    assert difference["high"] < 0

    better = _put(noise=0.0)
    assert (better.verdict, versions.model("m").aliases) == ("promoted", {"champion": 3, "previous": 1})
    assert [(e.kind, e.version, e.verdict) for e in ledger.history("m")] == [
        ("decision", 1, "promoted"),
        ("promotion", 1, ""),
        ("decision", 2, "refused"),
        ("decision", 3, "promoted"),
        ("promotion", 3, ""),
    ]


@mostly_on_sqlite
def test_the_same_question_is_decided_once(project):
    _policy()
    first = _put(noise=0.02)
    again = gate.run("m")
    assert (again.verdict, again.promoted) == ("unchanged", True)
    assert (again.reasons, again.evidence) == (first.reasons, first.evidence)
    refused = _put(noise=0.6, seed=1)
    assert gate.run("m") == refused
    assert [entry.kind for entry in ledger.history("m")] == ["decision", "promotion", "decision"]


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_is_decided_tells_whether_the_gate_has_anything_to_do(sqlite_project, monkeypatch):
    _policy()
    assert not gate.is_decided(versions.model("m"), "0" * 64)
    good = workspace.export()
    register.run("m")
    assert not gate.is_decided(versions.model("m"), good)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(champion, "move", _interrupted)  # between the decision and the move
        gate.run("m")
    assert not gate.is_decided(versions.model("m"), good)
    gate.run("m")
    assert gate.is_decided(versions.model("m"), good)
    bad = workspace.export(noise=0.6, seed=1)
    register.run("m")
    assert not gate.is_decided(versions.model("m"), bad)
    gate.run("m")
    assert gate.is_decided(versions.model("m"), bad)
    _policy(margin=1.0)
    assert not gate.is_decided(versions.model("m"), bad)


def test_another_policy_is_another_question(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 1.1}}}})
    assert _put().verdict == "refused"
    _policy()
    assert gate.run("m").verdict == "promoted"


def test_evidence_is_bound_to_the_bundle_and_kept(sqlite_project):
    _policy()
    decision = _put()
    (kept, _) = ledger.history("m")
    assert kept.bundle_sha256 == bundle.sha256(layout.bundle("m")) == decision.evidence["question"]["bundle"]
    assert ledger.evidence(kept) == json.loads(json.dumps(decision.evidence))
    assert set(decision.evidence["checks"]) == {"data", "thresholds", "comparison", "parity", "service"}


def test_slices_are_part_of_the_question_and_of_the_evidence(sqlite_project, monkeypatch):
    monkeypatch.setattr(smoke_test, "run", lambda *_: SmokeTest(1.0, 1.0, 1, 100.0, 1.0))
    _policy()
    workspace.export(noise=0.25)
    register.run("m")
    gate.run("m")
    refused = _put(noise=0.6, seed=1)
    assert "slices" not in refused.evidence["question"]
    assert not {"slices", "slice_margin"} & refused.evidence["question"]["policy"].keys()
    ids = PreparedData(layout.prepared(workspace.DATASET)).test.ids
    members = np.arange(len(ids))[:, None] < [[150, 5]]
    slices.write(
        layout.slices_file(workspace.DATASET), Slices(ids, {"first": "half", "few": "five"}, members)
    )
    assert not gate.is_decided(versions.model("m"), bundle.sha256(layout.bundle("m")))
    again = gate.run("m")
    assert any(reason.startswith("slices: accuracy on slice 'first'") for reason in again.reasons)
    rows = {row["slice"]: row for row in again.evidence["checks"]["slices"]["evidence"]["slices"]}
    assert rows["first"]["difference"]["high"] < -0.1 and rows["few"]["difference"] is None
    _policy(slices={"first": {"margin": 1.0}})
    assert gate.run("m").evidence["checks"]["slices"]["holds"]


def test_challenge_sets_are_compared_and_bounded(sqlite_project, monkeypatch):
    monkeypatch.setattr(smoke_test, "run", lambda *_: SmokeTest(1.0, 1.0, 1, 100.0, 1.0))
    _policy(margin=1.0, class_margin=1.0)
    first = _put(noise=0.25)
    assert "challenge_sets" not in first.evidence["question"]
    assert not {"challenge_sets", "challenge_margin"} & first.evidence["question"]["policy"].keys()
    challenge.write({"night": np.arange(150), "few": np.arange(5)})
    workspace.write_params(
        {"m": {"thresholds": {"accuracy": {"at_least": 0.1}}, "margin": 1.0, "class_margin": 1.0}}
    )
    refused = _put(noise=0.6, seed=1)
    (told,) = refused.reasons
    assert told.startswith(
        "challenge_sets: accuracy on challenge set 'night' (all of its images): worse than"
    )
    rows = {row["slice"]: row for row in refused.evidence["checks"]["challenge_sets"]["evidence"]["slices"]}
    assert rows["night"]["difference"]["high"] < -0.1 and rows["few"]["difference"] is None
    _policy(margin=1.0, class_margin=1.0, challenge_margin=1.0, challenge_sets={"night": {"at_least": 0.999}})
    asked = gate.run("m")
    assert any("must reach at least 0.999" in told for told in asked.reasons)
    _policy(margin=1.0, class_margin=1.0, challenge_sets={"nihgt": {"margin": 0.2}})
    assert any("no such challenge set. Did you mean 'night'?" in told for told in gate.run("m").reasons)


def test_challenge_images_that_were_trained_on_are_left_out(sqlite_project, monkeypatch):
    monkeypatch.setattr(smoke_test, "run", lambda *_: SmokeTest(1.0, 1.0, 1, 100.0, 1.0))
    _policy()
    challenge.write({"night": np.arange(40)})
    test = PreparedData(layout.prepared(workspace.DATASET)).test
    monkeypatch.setattr(seen, "of", lambda version: test.contents[:15])
    (row,) = _put().evidence["checks"]["challenge_sets"]["evidence"]["slices"]
    assert row["count"] == 25
    monkeypatch.setattr(seen, "of", lambda version: test.contents)
    assert "challenge_sets: cannot be measured: all of" in " ".join(_put(noise=0.01).reasons)


def _refusal() -> str:
    """Return the one reason against an otherwise good bundle."""
    decision = _put()
    assert (decision.verdict, decision.promoted, versions.champion("m")) == ("refused", False, None)
    (reason,) = decision.reasons
    return reason


@pytest.mark.parametrize("entry", [{}, {"m": {}}, {"m": {"thresholds": {}}}])
def test_without_thresholds_nothing_is_promoted(sqlite_project, entry):
    workspace.write_params(entry)
    assert _refusal().startswith("thresholds: params.yaml: gate.m.thresholds: ")


def test_a_threshold_that_bounds_nothing_is_refused(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"accuracy": {}}}})
    with pytest.raises(UserError, match=r"gate\.m\.thresholds\.accuracy"):
        _refusal()


def test_a_missed_threshold_says_by_how_much(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"log_loss": {"at_most": 0.0001}}}})
    assert "must be at most 0.0001" in _refusal()


def test_a_missing_metric_gets_the_nearest(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"acuracy": {"at_least": 0.5}}}})
    refusal = _refusal()
    assert "gate.m.thresholds.acuracy: " in refusal and "'accuracy'" in refusal


def test_data_without_a_validation_is_not_promoted(sqlite_project):
    _policy()
    workspace.export()
    register.run("m")
    layout.validation_file("shapes").unlink()
    file = str(layout.validation_file("shapes"))
    (reason,) = gate.run("m").reasons
    assert reason.startswith(f"data: {file}: ")
    workspace.validate(success=False)
    (failed,) = gate.run("m").reasons
    assert failed.startswith(f"data: {file}: ") and failed != reason
    workspace.validate()
    atomic.write_bytes(layout.ingested("shapes") / "manifest/part.parquet", b"changed since")
    evidence = gate.run("m").evidence["checks"]["data"]
    assert not evidence["holds"]
    assert evidence["evidence"]["manifest"] != evidence["evidence"]["validated_manifest"]
    workspace.validate()
    assert gate.run("m").verdict == "promoted"


def test_data_that_changed_since_the_training_is_not_promoted(sqlite_project):
    _policy()
    workspace.export()
    register.run("m")
    spec = layout.prepared("shapes") / "spec.json"
    atomic.write_json(spec, {**json.loads(spec.read_text()), "sha256": "0" * 64})
    (reason,) = gate.run("m").reasons
    assert "trained on data" in reason


def test_a_slow_bundle_is_refused(sqlite_project, server):
    _policy(max_latency_ms=1e-6)
    assert "service: an answer takes" in _refusal()


def test_a_bundle_that_needs_much_memory_is_refused(sqlite_project, server):
    _policy(max_memory_mb=10)
    assert "MiB (at most 10)" in _refusal()


@mostly_on_sqlite
def test_a_changed_bundle_is_not_even_decided_on(project):
    _policy()
    workspace.export()
    register.run("m")
    (kept,) = STATE.absolute().glob("mlflow/artifacts/*/*/artifacts/model/bundle/golden.safetensors")
    kept.write_bytes(kept.read_bytes()[:-1])
    for waiver in (None, gate.Waiver("ada", "must go out")):
        with pytest.raises(UserError, match="not the one that was registered"):
            gate.run("m", waiver=waiver)
    assert (ledger.history("m"), versions.champion("m")) == ([], None)


@mostly_on_sqlite
def test_a_waiver_is_recorded_and_promotes(project):
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 1.1}}}})
    assert _put().verdict == "refused"
    decision = gate.run("m", waiver=gate.Waiver("ada", "a demonstration"), by="ada")
    assert (decision.verdict, versions.champion("m").number) == ("promoted", 1)
    assert decision.reasons[0] == "waived by ada: a demonstration"
    assert decision.evidence["question"]["waiver"] == {"by": "ada", "reason": "a demonstration"}
    *_, waived, promoted = ledger.history("m")
    assert (waived.by, promoted.by, promoted.reasons[0]) == ("ada", "ada", decision.reasons[0])


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("ada", ""), (" ", " ")])
def test_a_waiver_needs_name_and_reason(by, reason):
    with pytest.raises(UserError, match=r"--waive.*--by"):
        gate.Waiver(by, reason)


def test_no_waiver_covers_wrong_golden_answers(sqlite_project, server):
    _policy()
    workspace.export(golden_off=0.5)
    register.run("m")
    decision = gate.run("m", waiver=gate.Waiver("ada", "must go out"))
    assert (decision.verdict, versions.champion("m")) == ("refused", None)
    assert "the golden examples are answered wrong" in decision.reasons[0]


def test_what_a_person_asks_for_again_is_looked_at_again(sqlite_project):
    _policy(max_latency_ms=1e-6)
    assert _put().verdict == "refused"
    assert gate.run("m", by="ada").verdict == "refused"
    assert len(ledger.history("m")) == 2


def test_a_refusal_for_time_alone_is_looked_at_again(sqlite_project, monkeypatch):
    _policy(max_latency_ms=100)
    with monkeypatch.context() as busy:
        busy.setattr(smoke_test, "run", lambda *_: SmokeTest(152.0, 1.2, 5, 100.0, 1.0))
        refused = _put()
        assert gate.run("m").reasons == refused.reasons
    (reason,) = refused.reasons
    assert reason.startswith("service: ") and "1.20 ms" in reason
    assert [entry.momentary for entry in ledger.history("m")] == [True]
    assert not gate.is_decided(versions.model("m"), bundle.sha256(layout.bundle("m")))
    assert gate.run("m").verdict == "promoted"


def test_a_champion_of_other_classes_is_no_comparison(sqlite_project):
    _policy()
    _put(noise=0.02)
    spec = layout.prepared("shapes") / "spec.json"
    atomic.write_json(spec, {**json.loads(spec.read_text()), "classes": ["bar", "dot", "star"]})
    (reason,) = _put(noise=0.0).reasons
    assert "it has other classes" in reason


def _move(moved: int, test: int) -> None:
    """Make ``moved`` train images test images, beside the first ``test`` of those that there are."""
    folder = layout.prepared("shapes")
    data = PreparedData(folder)
    parts = {
        "train": [(data.train, slice(moved, None)), (data.test, slice(test, None))],
        "test": [(data.train, slice(moved)), (data.test, slice(test))],
    }
    ids = json.loads((folder / "ids.json").read_text())
    tensors = {}
    for name, of in parts.items():
        tensors[name] = {
            key: np.concatenate([getattr(split, key)[rows] for split, rows in of])
            for key in ("images", "labels")
        }
        ids[name] = [id for split, rows in of for id in split.ids[rows]]
    for name, values in tensors.items():
        prepared_split.write(folder, name, values)
    atomic.write_json(folder / "ids.json", ids)
    spec = json.loads((folder / "spec.json").read_text())
    atomic.write_json(folder / "spec.json", spec | {"sha256": "0" * 64})


def test_what_the_champion_was_trained_on_is_no_part_of_the_comparison(sqlite_project):
    _policy()
    _put(noise=0.25)
    _move(moved=40, test=200)
    found = _put(noise=0.0)
    evidence = found.evidence["checks"]["comparison"]["evidence"]
    assert (evidence["examples"], evidence["left_out"]) == (200, 40)
    assert "comparison: 40 of 240 test images were seen in training and are left out" in found.reasons
    assert found.verdict == "promoted"


def test_where_the_champion_has_seen_every_test_image_it_stays(sqlite_project):
    _policy()
    _put(noise=0.25)
    _move(moved=60, test=0)
    found = _put(noise=0.0)
    (reason,) = [reason for reason in found.reasons if reason.startswith("comparison")]
    assert "all 60 test images were seen in training" in reason
    assert (found.verdict, versions.champion("m").number) == ("refused", 1)


def test_nothing_is_left_out_for_a_champion_that_does_not_tell_what_it_has_seen(sqlite_project, monkeypatch):
    _policy()
    with monkeypatch.context() as before:  # as it was registered by an older release
        before.setattr(version_record.seen, "keep", lambda *_: None)
        _put(noise=0.25)
    _move(moved=40, test=200)
    evidence = _put(noise=0.0).evidence["checks"]["comparison"]["evidence"]
    assert (evidence["examples"], evidence["left_out"]) == (240, 0)


@mostly_on_sqlite
def test_an_alias_moved_by_hand_is_the_champion_to_beat(project):
    _policy()
    _put(noise=0.25)
    _put(noise=0.0)
    mlflow_store.client().set_registered_model_alias("m", "champion", "1")
    decision = _put(noise=0.1, seed=3)
    assert decision.verdict == "promoted"
    question = decision.evidence["question"]
    assert question["champion"] == versions.model("m").version(1).bundle_sha256
    assert (decision.evidence["champion_version"], decision.evidence["last_recorded_champion"]) == (1, 2)
    assert [version for version, _ in ledger.served(ledger.history("m"))] == [1, 2, 1, 3]


def test_a_champion_made_by_hand_alone_is_left_in_place(sqlite_project):
    _policy()
    workspace.export()
    register.run("m")
    mlflow_store.client().set_registered_model_alias("m", "champion", "1")
    decision = gate.run("m")
    assert (decision.verdict, decision.promoted) == ("unchanged", True)
    assert decision.reasons == ["the champion alias was set by hand: the gate never saw it"]


@mostly_on_sqlite
def test_what_was_rolled_back_stays_so_until_a_person_brings_it_back(project):
    _policy()
    _put(noise=0.02)
    _put(noise=0.0)
    champion.rollback("m", by="ada", reason="flickers")
    register.run("m")
    held = gate.run("m")
    assert (held.verdict, held.promoted, versions.champion("m").number) == ("held", False, 1)
    assert "rolled back by ada" in held.reasons[0]
    assert "flickers" in held.reasons
    assert gate.run("m", by="ada").verdict == "promoted"
    assert versions.champion("m").number == 2


def test_density_is_compared_by_likelihood_and_by_class(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"bayes_accuracy": {"at_least": 0.3}}}}, task="density")
    assert _put(noise=0.0, task="density").verdict == "promoted"
    worse = _put(noise=0.6, seed=1, task="density")
    assert worse.verdict == "refused"
    differences = worse.evidence["checks"]["comparison"]["evidence"]["differences"]
    assert [(d["metric"], d["of"]) for d in differences] == [
        *(("bits_per_dim", of) for of in ("all", *workspace.CLASSES)),
        ("bayes_accuracy", "all"),
    ]
    assert differences[0]["candidate"] > differences[0]["champion"]
    assert differences[0]["value"] < 0


def test_generators_are_compared_by_samples_of_the_same_seeds(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"classes_covered": {"at_least": 2}}}}, task="generation")
    assert _put(task="generation").verdict == "promoted"
    worse = _put(noise=0.2, task="generation")
    assert worse.verdict == "refused"
    (difference,) = worse.evidence["checks"]["comparison"]["evidence"]["differences"]
    assert (difference["metric"], difference["count"]) == ("kernel_distance", 8)
    assert difference["high"] < 0


def test_what_another_judge_measured_is_not_taken(sqlite_project):
    workspace.write_params({"m": {"thresholds": {"classes_covered": {"at_least": 2}}}}, task="generation")
    assert _put(task="generation").verdict == "promoted"
    workspace.export(task="generation", seed=3)
    workspace.judge(seed=1)
    register.run("m")
    refused = gate.run("m")
    assert refused.verdict == "refused"
    assert any("is not the present one: evaluate and export it again" in told for told in refused.reasons)
    # Measured again, and compared with the champion by the present judge, it is decided on anew.
    assert _put(seed=3, task="generation").verdict == "promoted"


@pytest.mark.parametrize(
    ("rule", "low", "high", "holds"),
    [
        ("no worse", -0.009, 0.1, True),
        ("no worse", -0.011, 0.1, False),
        ("no worse", -0.01, 0.1, False),
        ("no harm", -0.5, -0.01, True),
        ("no harm", -0.5, -0.011, False),
        ("no worse", np.nan, np.nan, False),
        ("no harm", np.nan, np.nan, False),
    ],
)
def test_rules_are_about_the_whole_interval(rule, low, high, holds):
    difference = comparison.Difference("accuracy", "all", 0.9, 0.9, 0.0, low, high, 10, 0.01, rule)
    assert difference.holds is holds


def test_what_a_challenger_did_unseen_is_evidence(sqlite_project):
    _policy()
    challenger = workspace.export()
    register.run("m")
    counted = Metrics()
    counted.shadow.add("m", "c" * 64, challenger, "agreed", by=9)
    counted.shadow.add("m", "c" * 64, "d" * 64, "agreed")  # of another one
    shared.SharedCounters(8080, 0).write(counted.to_json(), {})
    (seen,) = gate.run("m").evidence["shadow"]
    assert (seen["challenger"], seen["agreed"], seen["disagreed"]) == (challenger, 9, 0)
