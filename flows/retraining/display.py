"""What a person sees while a run goes on: one table, a row for each data set and model, a column for each stage."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flows.retraining import durations

DATA_COLUMNS = ("ingest", "validate", "prepare", "labels", "judge")
WEIGHTS_COLUMNS = ("weights",)
MODEL_COLUMNS = ("train", "evaluate", "export", "register", "gate")
_STYLES = {"ran": "green", "restored": "green", "unchanged": "dim", "failed": "bold red", "stopped": "yellow"}


class Display:
    """Shows steps as they start, go on and end: a live table on a terminal, a line for each event elsewhere."""

    def __init__(
        self,
        steps: Iterable[str],
        progress: Path,
        console: Console,
        to_run: Iterable[str] = (),
        lanes: int = 1,
    ) -> None:
        """Show ``steps`` (``kind@item``); running stages write their progress to ``progress/<step>.json``.

        Args:
            steps: their addresses, in order.
            progress: a folder.
            console: where to.
            to_run: those of ``steps`` that are expected to run, by which the time that is left is estimated.
            lanes: how many run side by side.
        """
        self._steps = list(steps)
        self._to_run, self._lanes, self._known = set(to_run), lanes, durations.load()
        self._progress = progress
        self._console = console
        self._cells: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._live = Live(get_renderable=self._tables, console=console, refresh_per_second=4, transient=False)
        self._is_live = console.is_terminal

    def __enter__(self) -> Display:
        if self._is_live:
            self._live.start()
        elif left := self._left():
            self._console.print(f"{left}, by how long these steps took last time", highlight=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._live.stop()
        with self._lock:
            durations.save({step: seconds for step, (how, seconds) in self._cells.items() if how == "ran"})

    def started(self, step: str) -> None:
        """Say that ``step`` runs from now on."""
        with self._lock:
            self._cells[step] = ("running", time.monotonic())
        if not self._is_live:
            self._console.print(f"{step}: started", highlight=False)

    def ended(self, step: str, how: str, reason: str = "") -> None:
        """Say how ``step`` ended: ``ran``, ``restored``, ``unchanged``, ``failed``, ``stopped`` or a verdict.

        Why it failed is said at once: other steps may go on for hours.
        """
        with self._lock:
            state, since = self._cells.get(step, ("waiting", time.monotonic()))
            seconds = time.monotonic() - since if state == "running" else 0.0
            self._cells[step] = (how, seconds)
        if not self._is_live and how != "unchanged":
            self._console.print(f"{step}: {how} ({seconds:.1f} s)", highlight=False)
        if reason:
            self._console.print(
                f"{step}: {reason}", style="red", markup=False, highlight=False, soft_wrap=True
            )

    def progress_file(self, step: str) -> Path:
        """Where the process of ``step`` writes how far it is."""
        return self._progress / f"{step}.json"

    def _tables(self) -> Table:
        grid = Table.grid(padding=(0, 0))
        for title, columns in (
            ("data set", DATA_COLUMNS),
            ("pretrained", WEIGHTS_COLUMNS),
            ("model", MODEL_COLUMNS),
        ):
            items = [step.split("@")[1] for step in self._steps if step.startswith(f"{columns[0]}@")]
            if columns == WEIGHTS_COLUMNS and not items:
                continue
            table = Table(title, *columns, box=None, padding=(0, 2, 0, 0), header_style="bold")
            for item in items:
                table.add_row(item, *(self._cell(f"{kind}@{item}") for kind in columns))
            grid.add_row(table)
        grid.add_row(Text(self._left(), style="dim"))
        return grid

    def _left(self) -> str:
        with self._lock:
            cells, now = dict(self._cells), time.monotonic()
        waiting = self._to_run - cells.keys()
        running = {step: now - mark for step, (state, mark) in cells.items() if state == "running"}
        return durations.left(waiting, running, self._known, self._lanes)

    def _cell(self, step: str) -> Text:
        state, mark = self._cells.get(step, ("waiting", 0.0))
        if state == "waiting":
            return Text("·" if step in self._steps else "", style="dim")
        if state == "running":
            return Text(self._how_far(step, time.monotonic() - mark), style="cyan")
        label = {"ran": "✓", "restored": "✓ from cache", "unchanged": "✓"}.get(state, state)
        return Text(f"{label} {mark:.0f} s" if mark >= 0.5 else label, style=_STYLES.get(state, ""))

    def _how_far(self, step: str, seconds: float) -> str:
        try:
            progress = json.loads(self.progress_file(step).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return f"▸ {seconds:.0f} s"
        metrics = " ".join(
            f"{name} {value:.3g}" for name, value in list(progress.get("metrics", {}).items())[:1]
        )
        done, total = progress["done"], progress["total"]
        parts = [progress.get("phase", ""), f"{done}/{total} {progress.get('unit', '')}".rstrip(), metrics]
        if "left" in progress:
            parts.append(f"{durations.in_words(progress['left'])} left")
        return " ".join(["▸", *filter(None, parts)])
