"""What a server's follower sees, people are told, and nothing of it can harm the follower."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from components.alerts import outbox
from components.registry import versions
from components.serving.follower import Follower
from components.serving.rollout import fallen, told
from components.serving.rollout.fallen import Fallen
from components.serving.rollout.told import Told
from components.serving.rollout.trial import Demand
from tests.components.alerts.receiver import Receiver
from tests.components.serving.shop import add, until


@pytest.fixture
def receiver(shop, monkeypatch):
    receiver = Receiver()
    monkeypatch.setenv("HOOK", receiver.url)
    monkeypatch.setattr(told, "EVERY_S", 0.0)
    with Path("params.yaml").open("a") as settings:
        settings.write("alerts: {to: {team: {url: '${HOOK}'}}}\n")
    yield receiver
    receiver.stop()


def test_a_champion_that_is_refused_and_a_canary_that_fell_back_are_told_once(receiver):
    following, people = Follower(), Told()
    following.poll()
    people.look()
    versions.point("m", "champion", add(2, golden_off=1.0))
    following.poll()
    pair, demand = ("a" * 64, "b" * 64), Demand(80, 0.9, 0.0, None)
    fallen.write(Fallen("m", "4", *pair, ("failed on 1 of 20 requests",)), demand)
    for _ in range(3):
        people.look()
    until(lambda: len(receiver.titles) == 2)
    people.look()
    assert receiver.titles == [
        "Darkroom: m version 4 failed its trial",
        "Darkroom: m version 3 is not served: version 1 goes on",
    ]
    assert receiver.messages[0]["message"].startswith("failed on 1 of 20 requests")
    assert receiver.messages[1]["type"] == "failure"


def test_an_outbox_that_cannot_be_used_is_logged_once(receiver, caplog):
    people = Told()
    people.look()
    outbox.FILE.write_bytes(b"no database" * 1000)
    with caplog.at_level(logging.WARNING, "darkroom.serving"):
        for _ in range(2):
            people.look()
    assert [record.message for record in caplog.records] == ["alerts cannot be told"]
