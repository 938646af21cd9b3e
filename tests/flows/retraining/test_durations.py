"""What is left of a run, by how long its steps took last time."""

from __future__ import annotations

import pytest

from flows.retraining import durations


@pytest.mark.parametrize(
    ("waiting", "running", "told"),
    [
        ([], {}, ""),
        (["new"], {}, ""),
        (["a", "b"], {}, "about 100 s left"),  # side by side: no sooner than the longest
        (["a", "b", "c"], {}, "about 3 min left"),
        (["b"], {"a": 40.0}, "about 60 s left"),
        ([], {"a": 400.0}, "about 0 s left"),
        (["b", "new"], {"newer": 3.0}, "about 60 s left, and 2 steps of unknown length"),
    ],
)
def test_what_is_left(waiting, running, told):
    known = {"a": 100.0, "b": 60.0, "c": 200.0}
    assert durations.left(waiting, running, known, 2) == told.replace("100 s", "2 min")


def test_what_ran_is_kept_beside_what_was_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert durations.load() == {}
    durations.save({"train@a": 3.0, "train@b": 4.0})
    durations.save({"train@a": 5.0})
    durations.save({})
    assert durations.load() == {"train@a": 5.0, "train@b": 4.0}
    durations.FILE.write_text("{")
    assert durations.load() == {}


def test_lengths_of_time_are_told_in_the_unit_that_fits():
    words = [durations.in_words(seconds) for seconds in (0.4, 89, 91, 3600, 2 * 3600)]
    assert words == ["0 s", "89 s", "2 min", "60 min", "2.0 h"]
