"""What the ledger has is told, once, by the workspace that recorded it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from components.alerts import collecting, from_ledger, outbox
from components.project import params
from components.project.sections import AlertTarget
from components.registry import ledger, mlflow_store
from components.registry.ledger import Entry
from tests.components import workspace

TO = {"team": AlertTarget(url="json://localhost")}
DECISION = Entry("decision", "m", 2, "b" * 64, 1, "refused", champion_sha256="a" * 64)
INTERVAL = "comparison: accuracy -0.0320 [-0.0501, -0.0139], below -0.01"


@pytest.fixture
def policy(sqlite_project):
    """A workspace whose outbox was made when the ledger had an entry already."""
    workspace.write_params({"m": {"approval": "required"}})
    ledger.record(replace(DECISION, version=1), "before", {})
    return params.load_alerts().model_copy(update={"to": TO})


def titles(policy) -> list[str]:
    with outbox.opened() as box:
        collecting.collect(box, policy)
        return [one.title for one in box.owed(policy.to)]


def test_what_is_recorded_is_told_once_with_the_interval_that_refused(policy, monkeypatch):
    assert titles(policy) == []
    kinds = [
        replace(DECISION, reasons=(INTERVAL,)),
        replace(DECISION, version=3, verdict="pending", reasons=("accuracy: 0.99",)),
        replace(DECISION, version=3, verdict="promoted"),
        replace(DECISION, version=3, kind="promotion", verdict=""),
        replace(DECISION, version=1, kind="rollback", verdict="", champion=3, by="ada"),
        replace(DECISION, version=3, kind="refusal", verdict="", by="server on here"),
        replace(DECISION, version=4, kind="trial", verdict="failed", reasons=("agreed on 3 of 20",)),
        replace(DECISION, version=5, kind="trial", verdict="proved"),
    ]
    for number, entry in enumerate(kinds):
        ledger.record(entry, f"key {number}", {})
    expected = [
        "m version 2 was refused by the gate; version 1 stays champion",
        "m version 3 waits for approval",
        "m version 3 became champion, in place of version 1",
        "m version 1 is champion again, in place of version 3",
        "m version 3 is not served: version 1 goes on",
        "m version 4 failed its trial",
    ]
    assert titles(policy) == expected == titles(policy)
    with outbox.opened() as box:
        refused = box.owed(policy.to)[0]
    assert (refused.kind, refused.text) == ("refusal", INTERVAL)
    # Another workspace of the same registry tells nothing of it.
    monkeypatch.setattr(mlflow_store, "_owner", lambda: "elsewhere:/project")
    outbox.FILE.unlink()
    with outbox.opened() as box:
        box.set_mark("since", 0.0)
        assert from_ledger.collect(box, policy) == 0


def test_an_entry_that_ended_late_is_told(policy):
    assert titles(policy) == []
    with ledger.recording(replace(DECISION, kind="promotion", verdict=""), "slow", {}):
        ledger.record(replace(DECISION, version=7), "quick", {})
        assert titles(policy) == ["m version 7 was refused by the gate; version 1 stays champion"]
    assert titles(policy)[1:] == ["m version 2 became champion, in place of version 1"]


def test_what_is_on_trial_alone_asks_nobody(policy):
    titles(policy)
    workspace.write_params({"m": {"shadow": {}}})
    ledger.record(replace(DECISION, verdict="pending"), "key", {})
    assert titles(policy) == []
