"""What the gate finds of variants: how fast they are here, what was refused, and what answers otherwise here."""

from __future__ import annotations

import hashlib
import json

import pytest

from components import gate, register, report
from components.bundles.bundle import DESCRIPTION, GOLDEN, MODEL, VARIANT_GOLDEN, VARIANT_MODEL, Bundle
from components.project import layout
from components.promotion import by_variant
from components.variants import speed
from data import atomic
from data.prepared import PreparedData
from tests.components import workspace

TRY = {"products": 3, "fp32": ["node_first"], "against": ["accuracy of all: too low"]}
REFUSED = {"accepted": False, "tries": [TRY]}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(speed, "LEAST_S", 0.001)


def carry(tolerance: float = 0.1, golden: str = GOLDEN, told: dict | None = None) -> None:
    """Give the bundle a variant, which is the FP32 graph once more, or the word that one was refused."""
    folder = layout.bundle("m")
    values = json.loads((folder / DESCRIPTION).read_text())
    values["variants"] = {
        "int8": told
        or {"accepted": True, "tries": [TRY], "tolerances": {"probabilities": {"absolute": tolerance}}}
    }
    if told is None:
        for source, file in ((MODEL, VARIANT_MODEL), (golden, VARIANT_GOLDEN)):
            content = (folder / source).read_bytes()
            atomic.write_bytes(folder / file.format("int8"), content)
            values["sha256"][file.format("int8")] = hashlib.sha256(content).hexdigest()
    atomic.write_json(folder / DESCRIPTION, values)


def look():
    return by_variant.check(Bundle.open(layout.bundle("m")), PreparedData(layout.prepared(workspace.DATASET)))


def test_a_bundle_that_was_asked_for_none_has_no_check(bare_project):
    workspace.export("m")
    assert look() is None


def test_the_same_graph_is_not_faster_and_speaks_against_nothing(bare_project):
    workspace.export("m")
    carry()
    found = look()
    (told,) = found.good
    assert found.holds and told.startswith("int8: ") and "times FP32's images a second" in told
    assert found.evidence["processor"] == speed.processor()
    measured = found.evidence["speed"]["int8"]
    assert measured["low"] <= measured["ratio"] <= measured["high"] and measured["batch"] == by_variant.BATCH
    assert measured["is_faster"] == (measured["low"] > 1)


def test_what_was_refused_at_export_is_told(bare_project):
    workspace.export("m")
    carry(told=REFUSED)
    found = look()
    assert found.holds and found.good == ("int8: refused at export: accuracy of all: too low",)


def test_golden_answers_that_are_others_here_speak_against_it(bare_project):
    workspace.export("m", golden_off=0.5)
    carry()
    found = look()
    assert not found.holds and "golden examples are answered wrong" in found.bad[0]


def test_the_decision_keeps_what_was_found(sqlite_project, answered_here):
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.5}}}})
    workspace.export("m")
    carry()
    register.run("m")
    decision = gate.run("m")
    assert decision.verdict == "promoted"
    assert decision.evidence["checks"]["variants"]["evidence"]["speed"]["int8"]["ratio"] > 0
    assert any(reason.startswith("variants: int8: ") for reason in decision.reasons)
    report.run()
    page = layout.REPORT.read_text()
    assert "Variant <code>int8</code>: carried. In FP32 stayed 1 of 3 products: node_first." in page
