"""Progress: a file for the flow's display, a bar on a terminal, else silence."""

from __future__ import annotations

import io
import json
import sys

from models.progress import VARIABLE, Progress


def test_the_file_says_how_far(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "progress.json"))
    progress = Progress("train", "digits-cnn")
    progress.update(3, 10, "step", {"loss": 0.5, "broken": float("nan")})
    assert json.loads((tmp_path / "progress.json").read_text()) == {
        "stage": "train",
        "model": "digits-cnn",
        "done": 3,
        "total": 10,
        "unit": "step",
        "phase": "",
        "metrics": {"loss": 0.5},
    }


def test_each_phase_has_its_name_and_its_own_pace(tmp_path, monkeypatch):
    """What was done before a resume point took none of this time."""
    now = iter([100.0, 110.0, 200.0])
    monkeypatch.setattr("models.progress.time.monotonic", lambda: clock)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "progress.json"))
    progress = Progress("train", "m")
    told = []
    for phase, done in (("source", 50), ("source", 60), ("fine-tuning", 10)):
        clock = next(now)
        progress.update(done, 100, "step", {}, phase)
        report = json.loads((tmp_path / "progress.json").read_text())
        told.append((report["phase"], report.get("left")))
    assert told == [("source", None), ("source", 40.0), ("fine-tuning", None)]


def test_the_file_is_written_at_most_twice_a_second_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "progress.json"))
    progress = Progress("train", "m")
    seen = []
    for done in range(1, 101):
        progress.update(done, 100, "step", {})
        seen.append(json.loads((tmp_path / "progress.json").read_text())["done"])
    assert len(set(seen)) <= 3
    assert seen[-1] == 100


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress("train", "digits-cnn")
    progress.update(3, 10, "step", {"validation_loss": 0.25})
    progress.close()
    assert "train digits-cnn" in terminal.getvalue()
    assert "step 3/10" in terminal.getvalue()


def test_elsewhere_it_is_silent(monkeypatch, capsys):
    monkeypatch.delenv(VARIABLE, raising=False)
    progress = Progress("train", "m")
    progress.update(1, 2, "step", {})
    progress.close()
    assert capsys.readouterr() == ("", "")
