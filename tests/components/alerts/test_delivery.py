"""Each event reaches each receiver once: with a receiver that is down, and a sender that is killed anywhere."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from collections import Counter

import pytest

from components.alerts import delivery, outbox, sender
from components.alerts.event import Event
from components.project.sections import AlertsPolicy, AlertTarget

EVENTS = [Event(f"key {k}", "promotion", f"m version {k} became champion", "by gate") for k in range(3)]


def owe(policy: AlertsPolicy, events: list[Event] = EVENTS) -> None:
    with outbox.opened() as box:
        for event in events:
            box.put(event, policy.to)


def waiting(policy: AlertsPolicy) -> list[outbox.Delivery]:
    with outbox.opened() as box:
        return box.owed(policy.to)


def test_an_event_is_told_once_however_often_it_is_put_in_and_sent(policy, receiver):
    for _ in range(2):
        owe(policy)
        sender.send(0)
    assert receiver.titles == [f"Darkroom: m version {k} became champion" for k in range(3)]
    assert receiver.keys == [event.id for event in EVENTS]
    assert receiver.messages[0]["message"] == f"by gate\n\nevent {EVENTS[0].id}"
    assert receiver.messages[0]["type"] == "success"
    assert waiting(policy) == []


def test_a_receiver_that_is_down_for_a_while_gets_each_event_once(policy, receiver, monkeypatch):
    monkeypatch.setattr(outbox, "LONGEST_PAUSE_S", 0.0)
    monkeypatch.setattr(delivery, "_TICK_S", 0.01)
    receiver.stop()
    owe(policy)
    sender.send(0)
    left = waiting(policy)
    assert [(one.tries, one.id) for one in left] == [(1, event.id) for event in EVENTS]
    assert "Connection error" in left[0].reason and str(receiver.port) not in left[0].reason
    receiver.start()
    receiver.status = 503
    sender.send(0, at_once=True)
    assert [one.tries for one in waiting(policy)] == [2, 2, 2] and "503" in waiting(policy)[0].reason
    receiver.status = 200
    sender.send(5)
    assert receiver.keys == [event.id for event in EVENTS]
    assert receiver.messages[0]["message"].endswith(f"event {EVENTS[0].id}, try 3")


def test_what_failed_a_moment_ago_is_not_tried_again_at_once(policy, receiver):
    receiver.status = 500
    owe(policy, EVENTS[:1])
    for _ in range(3):
        sender.send(0)
    assert waiting(policy)[0].tries == 1
    assert waiting(policy)[0].due - time.time() <= 2


def test_each_receiver_gets_what_it_wants(policy, receiver):
    narrow = {"team": AlertTarget(url=receiver.url, events=("rollback",))}
    with outbox.opened() as box:
        assert box.put(EVENTS[0], narrow) and not box.put(EVENTS[0], narrow)
        box.put(Event("back", "rollback", "m version 1 is champion again"), narrow)
        assert [one.kind for one in box.owed(narrow)] == ["rollback"]
        assert box.owed({}) == []


def _send_and_die(folder: str, step: int, counted) -> None:
    """Send what is owed there, and die of SIGKILL before step ``step`` of it: a change of the outbox, or a message."""
    os.chdir(folder)
    counted.value = 0

    def count() -> None:
        if counted.value == step:
            os.kill(os.getpid(), signal.SIGKILL)
        counted.value += 1

    class Counted(sqlite3.Connection):
        def __exit__(self, *arguments) -> None:
            count()  # the change is made and not committed
            super().__exit__(*arguments)
            count()  # it is committed, and nothing else is done

    real = sqlite3.connect
    sqlite3.connect = lambda *a, **k: real(*a, factory=Counted, **k)
    notify = delivery._notify

    def notified(*arguments):
        count()
        result = notify(*arguments)
        count()  # the receiver has it, and nobody else knows
        return result

    delivery._notify = notified
    sender.send(0, at_once=True)


def test_killed_at_every_step_no_event_is_lost_and_only_one_moment_tells_it_twice(policy, receiver, tmp_path):
    processes, counted = multiprocessing.get_context("fork"), None
    counted = processes.Value("i", 0)

    def run(step: int) -> int:
        process = processes.Process(target=_send_and_die, args=(str(tmp_path), step, counted))
        process.start()
        process.join()
        return process.exitcode

    twice = 0
    for step in range(1000):
        receiver.messages.clear()
        receiver.keys.clear()
        events = [Event(f"step {step} {k}", "failure", "train@m failed") for k in range(2)]
        owe(policy, events)
        code = run(step)
        if code == 0:
            assert step == counted.value == 2 * (2 + 2 + 2)
            break
        assert code == -signal.SIGKILL
        assert run(-1) == 0 and waiting(policy) == []
        told = Counter(receiver.keys)
        assert set(told) == {event.id for event in events}, step
        repeated = [key for key, times in told.items() if times > 1]
        # Between the receiver's word and its commit nobody can know: the key is the same, and the second says so.
        assert len(repeated) == (1 if step % 6 in (3, 4) else 0), step
        for key in repeated:
            texts = [m["message"] for m in receiver.messages if f"event {key}" in m["message"]]
            assert [text.endswith(", try 2") for text in texts] == [False, True]
        twice += len(repeated)
    assert twice == 4


def test_a_receiver_that_never_answers_holds_up_nobody(policy, receiver):
    receiver.hangs.set()
    owe(policy, EVENTS[:1])
    began = time.monotonic()
    sender.Sender(60).finish(1.0, lambda: bool(waiting(policy)))
    assert time.monotonic() - began < 5
    assert waiting(policy)[0].id == EVENTS[0].id
    receiver.hangs.clear()
    sender.Sender(60).finish(20.0, lambda: bool(waiting(policy)))
    assert receiver.keys == [EVENTS[0].id]


def test_a_damaged_outbox_is_named(policy):
    owe(policy)
    outbox.FILE.write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match=r"outbox\.db: cannot be used.*move it aside"):
        owe(policy)
