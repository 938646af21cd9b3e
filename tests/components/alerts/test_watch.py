"""A schedule that did not run is told once; one that runs, late or for long, is not."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from components.alerts import outbox, watch
from components.project.sections import AlertsPolicy, AlertTarget

POLICY = AlertsPolicy(to={"team": AlertTarget(url="json://localhost")}, late=10)
HOUR_S = 3600.0


@pytest.fixture
def box(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with outbox.opened() as box:
        yield box


def missed(box: outbox.Outbox, now: float) -> int:
    return watch.collect(box, POLICY, now)


def test_a_time_that_passes_is_told_once_and_the_next_outage_again(box):
    now = time.time()
    watch.expect(box, {"nightly": now, "hourly": now + HOUR_S})
    assert missed(box, now + 9 * 60) == 0
    assert missed(box, now + 11 * 60) == 1
    assert missed(box, now + 12 * 60) == 0
    (told,) = box.owed(POLICY.to)
    assert told.title == "schedule nightly did not run" and "darkroom schedule" in told.text
    # It is kept again, runs, and stops again.
    watch.expect(box, {"nightly": now + HOUR_S})
    assert missed(box, now + HOUR_S) == 0
    assert missed(box, now + 2 * HOUR_S) == 1


def test_a_run_may_take_longer_than_its_schedule_and_one_that_was_killed_is_told(box):
    now = time.time()
    watch.began(box, "hourly", now + HOUR_S)  # by this process, which lives
    assert missed(box, now + 5 * HOUR_S) == 0
    watch.ended(box, "hourly", now + 6 * HOUR_S)
    assert missed(box, now + 6 * HOUR_S) == 0
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(gone.pid).create_time()
    watch._set(box, "hourly", now, gone.pid, started)
    assert missed(box, now + HOUR_S) == 0
    gone.kill()
    gone.wait()
    assert missed(box, now + HOUR_S) == 1
    assert "was killed" in box.owed(POLICY.to)[-1].text


def test_what_is_scheduled_no_longer_is_not_expected(box):
    watch.expect(box, {"nightly": time.time()})
    watch.expect(box, {})
    assert missed(box, time.time() + HOUR_S) == 0
