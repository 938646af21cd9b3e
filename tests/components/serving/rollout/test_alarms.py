"""A champion that a server refuses: told by health, metrics, ledger and status, on whatever machine one asks."""

from __future__ import annotations

import platform

from components.promotion import champion
from components.registry import ledger, mlflow_store, versions
from components.serving import follower
from components.serving.follower import Follower
from components.serving.rollout import alarms
from components.serving.rollout.state import State, StateFile, Target
from flows.cli.registry import _status_row
from tests.components.serving.server import Server
from tests.components.serving.shop import add, until, version_of


def refusals() -> list[ledger.Entry]:
    return [entry for entry in ledger.history("m") if entry.kind == "refusal"]


def promote_a_wrong_one() -> str:
    """Make a version champion whose golden answers are wrong; return its hash."""
    number = add(2, golden_off=1.0)
    versions.point("m", "champion", number)
    return versions.model("m").version(number).bundle_sha256


def test_what_only_a_worker_refuses_is_told_everywhere(shop, monkeypatch):
    following = Follower()
    following.poll()
    with Server(shop, worker={}) as server:
        client = server.client()
        assert client.get("/v2/health") == {"live": True, "ready": True, "refused": []}
        # The follower finds it good, as on a CPU; the worker does not, as on its GPU.
        sha256 = promote_a_wrong_one()
        with monkeypatch.context() as good:
            good.setattr(follower, "_verify", versions.fetch)
            following.poll()
        (told,) = until(lambda: client.get("/v2/health")["refused"])
        assert (told["name"], told["version"], told["sha256"]) == ("m", "3", sha256)
        assert client.get("/v2/health/ready") == {"ready": True} and version_of(client) == "1"
        assert (
            'darkroom_refused_version{model="m",version="3"} 1' in client.ask("GET", "/metrics")[1].decode()
        )

        def recorded() -> list[ledger.Entry]:
            following.poll()
            return refusals()

        (entry,) = until(recorded)
        assert (entry.version, entry.bundle_sha256, entry.reasons) == (3, sha256, (told["reason"],))
        assert platform.node() in entry.by
        again = Follower()
        again.poll()
        assert refusals() == [entry]  # once, also where another follower sees it
        (standing,) = champion.standings()
        assert standing.refusal == entry
        note = _status_row(standing)[-1]
        assert "version 3 was refused by the server on" in note and told["reason"] in note


def test_a_refusal_is_told_until_the_version_is_served(shop):
    following = Follower()
    following.poll()
    sha256 = promote_a_wrong_one()
    following.poll()
    (entry,) = refusals()
    assert (entry.champion, champion.standings()[0].refusal) == (1, entry)
    assert ledger.evidence(entry)["host"] == platform.node()
    StateFile().write(State({"m": Target("3", sha256)}))
    assert champion.standings()[0].refusal is None
    versions.point("m", "champion", 1)
    assert champion.standings()[0].refusal is None


def test_a_ledger_that_cannot_be_written_is_tried_again_and_harms_nothing(shop, monkeypatch):
    following = Follower()
    following.poll()
    promote_a_wrong_one()
    record, tried = ledger.record, []

    def fail(*given: object) -> None:
        tried.append(given)
        raise PermissionError("read only")

    monkeypatch.setattr(ledger, "record", fail)
    for _ in range(2):
        following.poll()
    assert len(tried) == 1 and following.state.champions["m"].version == "1"
    monkeypatch.setattr(ledger, "record", record)
    monkeypatch.setattr(alarms.time, "monotonic", lambda now=alarms.time.monotonic: now() + alarms.RETRY_S)
    following.poll()
    assert len(refusals()) == 1


def test_versions_without_a_bundle_of_ours_are_told_one_by_one(shop):
    following = Follower()
    following.poll()
    for number in (3, 4):
        mlflow_store.client().create_model_version("m", "nowhere/else")
        versions.point("m", "champion", number)
        following.poll()
    assert [entry.version for entry in refusals()] == [3, 4]
