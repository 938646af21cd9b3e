"""A card says when its version became champion, as the ledger has it."""

from __future__ import annotations

from components import gate, register
from components.registry import ledger, versions
from components.serving.follower import Follower
from components.serving.rollout.state import StateFile
from tests.components import workspace

GATE = {"thresholds": {"accuracy": {"at_least": 0.1}}, "max_latency_ms": 10_000.0}


def test_it_is_the_ledgers_and_empty_for_an_alias_moved_by_hand(sqlite_project, answered_here, monkeypatch):
    workspace.write_params({"m": GATE})
    workspace.export()
    register.run("m")
    assert gate.run("m").promoted
    follower = Follower(challengers=False)
    follower.poll()
    assert StateFile().read().champions["m"].promoted_at == ledger.history("m")[-1].at
    workspace.export(seed=1)
    versions.point("m", "champion", register.run("m").version)
    follower.poll()
    champion = StateFile().read().champions["m"]
    assert (champion.version, champion.promoted_at) == ("2", "")
    # A registry that goes away in between costs the time, not the champion.
    versions.point("m", "champion", 1)
    monkeypatch.setattr(ledger, "history", None)
    follower.poll()
    champion = StateFile().read().champions["m"]
    assert (champion.version, champion.promoted_at) == ("1", "")
