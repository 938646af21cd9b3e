"""What a person sees of a run: where each step is, its phase, and what is left."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from flows.retraining import durations
from flows.retraining.display import Display


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """Give a function that makes a display of two trainings, of which one has run before, and what it prints."""
    monkeypatch.chdir(tmp_path)
    durations.save({"train@one": 600.0})

    def make(terminal: bool) -> tuple[Display, io.StringIO]:
        out = io.StringIO()
        console = Console(file=out, width=200, force_terminal=terminal)
        return Display(["train@one", "train@two"], tmp_path, console, ["train@one", "train@two"], 2), out

    return make


def test_a_phase_and_what_is_left_of_it_are_named(shown):
    display, out = shown(True)
    progress = {"done": 120, "total": 400, "unit": "step", "metrics": {"loss": 0.25}}
    display.started("train@one")
    display.progress_file("train@one").write_text(
        json.dumps(progress | {"phase": "autoencoder", "left": 130})
    )
    display._console.print(display._tables())
    assert "▸ autoencoder 120/400 step loss 0.25 2 min left" in out.getvalue()
    assert "about 10 min left, and 1 step of unknown length" in out.getvalue()


def test_the_time_that_is_left_is_told_where_nothing_is_redrawn_and_what_ran_is_kept(shown):
    display, out = shown(False)
    with display:
        display.started("train@two")
        display.ended("train@two", "ran")
        display.ended("train@one", "unchanged")
    assert out.getvalue().startswith(
        "about 10 min left, and 1 step of unknown length, by how long these steps took"
    )
    assert set(durations.load()) == {"train@one", "train@two"} and durations.load()["train@two"] < 60
    assert durations.load()["train@one"] == 600.0
