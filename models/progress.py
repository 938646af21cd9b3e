"""Where a training stands, for people: a bar on a terminal, or a small file that the flow's live display reads."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path

from data import atomic

VARIABLE = "DARKROOM_PROGRESS"
"""Environment variable with the path of the progress file; set by whoever starts the stage and draws the display."""


class Progress:
    """Shows how far one stage of one model is. It never influences what the stage computes."""

    def __init__(self, stage: str, model: str) -> None:
        self._stage, self._model = stage, model
        self._file = os.environ.get(VARIABLE)
        self._written = -math.inf
        self._began: dict[str, tuple[float, float]] = {}
        self._bar = None if self._file or not sys.stderr.isatty() else _Bar(f"{stage} {model}")

    def update(
        self, done: float, total: float, unit: str, metrics: dict[str, float], phase: str = ""
    ) -> None:
        """Show ``done`` of ``total`` ``unit`` (``step``, ``iteration``) and the latest ``metrics``.

        The file is written at most twice a second, and always when all is done.

        Args:
            done: how much of ``total``.
            total: all of it, of this phase.
            unit: what is counted, singular.
            metrics: by name.
            phase: its name, where a training has several.
        """
        if self._bar:
            self._bar.update(done, total, f"{phase} {unit}".strip(), metrics)
        elif self._file and (time.monotonic() - self._written >= 0.5 or done >= total):
            self._written = now = time.monotonic()
            # A training that goes on from a resume point has not done in this time what it had done before.
            since, first = self._began.setdefault(phase, (now, done))
            finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
            report = {"stage": self._stage, "model": self._model, "done": done, "total": total, "unit": unit}
            report |= {"phase": phase, "metrics": finite} | _pace(now - since, done - first, total - done)
            atomic.write_json(Path(self._file), report)

    def close(self) -> None:
        """Give the terminal back."""
        if self._bar:
            self._bar.close()


def _pace(seconds: float, done: float, left: float) -> dict[str, float]:
    """Return how many seconds are left of a phase, once there is a pace to tell it by."""
    return {"left": seconds * left / done} if done > 0 and left > 0 else {}


class _Bar:
    """A rich progress bar on the error stream, so that a stage's output stays clean."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        texts = [
            TextColumn(f"{{{field}}}")
            for field in ("task.description", "task.fields[count]", "task.fields[note]")
        ]
        columns = (texts[0], BarColumn(), texts[1], texts[2], TimeRemainingColumn())
        self._rich = Progress(*columns, console=Console(stderr=True))
        self._task = self._rich.add_task(title, total=1, count="", note="")
        self._rich.start()

    def update(self, done: float, total: float, unit: str, metrics: dict[str, float]) -> None:
        note = " ".join(f"{key} {value:.4g}" for key, value in metrics.items())
        count = f"{unit} {done:.0f}/{total:.0f}"
        self._rich.update(self._task, completed=done, total=total, count=count, note=note)

    def close(self) -> None:
        self._rich.stop()
