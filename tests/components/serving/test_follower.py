"""What is followed: whatever the alias says, or only what the ledger has."""

from __future__ import annotations

import pytest

from components import gate
from components.promotion import champion
from components.registry import ledger, versions
from components.serving.follower import Follower
from tests.components import workspace
from tests.components.serving.shop import add

pytestmark = pytest.mark.usefixtures("decided")


def served(follower: Follower) -> str | None:
    target = follower.state.champions.get("m")
    return target.version if target else None


@pytest.fixture
def decided(sqlite_project) -> None:
    """The gate made version 1 champion; version 2 waits."""
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.3}}}})
    add(0)
    assert gate.run("m").promoted
    add(1, noise=0.3)


def test_an_alias_moved_by_hand_is_refused_and_what_the_gate_moves_is_served():
    by_ledger, by_alias = Follower(follow="ledger"), Follower()
    by_ledger.poll()
    assert served(by_ledger) == "1"
    versions.point("m", "champion", 2)
    for _ in range(2):
        by_ledger.poll()
        by_alias.poll()
    assert (served(by_ledger), served(by_alias)) == ("1", "2")
    refused = by_ledger.state.refused["m"]
    assert refused.version == "2"
    assert refused.reason == (
        "no move of its alias is in the ledger: darkroom promote m --version 2 asks the gate"
    )
    # Put back, nothing is refused any more.
    versions.point("m", "champion", 1)
    by_ledger.poll()
    assert served(by_ledger) == "1" and not by_ledger.state.refused


def test_a_move_whose_entry_is_not_whole_yet_is_waited_for():
    follower = Follower(follow="ledger")
    follower.poll()
    entry = ledger.Entry("promotion", "m", 2, versions.model("m").version(2).bundle_sha256, champion=1)
    with ledger.recording(entry, "a move", {}):
        versions.point("m", "champion", 2)
        follower.poll()
        assert served(follower) == "1" and not follower.state.refused
    follower.poll()
    assert served(follower) == "2"


def test_a_rollback_is_followed():
    follower = Follower(follow="ledger")
    workspace.write_params(
        {"m": {"thresholds": {"accuracy": {"at_least": 0.1}}, "margin": 1, "class_margin": 1}}
    )
    assert gate.run("m").promoted
    follower.poll()
    assert served(follower) == "2"
    champion.rollback("m", by="ada", reason="flickers")
    follower.poll()
    assert served(follower) == "1"


def test_while_the_ledger_cannot_be_read_what_was_good_goes_on(monkeypatch):
    follower = Follower(follow="ledger")
    follower.poll()
    versions.point("m", "champion", 2)

    def fail(name):
        raise OSError("no such table")

    with monkeypatch.context() as broken:
        broken.setattr(ledger, "history", fail)
        for _ in range(2):
            follower.poll()
    assert served(follower) == "1"
    assert "the ledger cannot be read: no such table" in follower.state.refused["m"].reason
