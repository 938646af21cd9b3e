"""Has people told of what a run does while it goes on: steps that fail, the gate's word, wrong labels."""

from __future__ import annotations

import json
import time
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console

from components.project import layout
from flows import telling
from flows.retraining.plan import Plan

if TYPE_CHECKING:
    from components.alerts.event import Event

SEND_S = 600.0
"""Seconds that a process tries to send while the run goes on."""
_LINES = 20
"""Last lines of a message that people are sent; the run's log has all of it."""


class RunAlerts:
    """What a run has people told of. Nothing of it can fail a step, and the run's end waits for it for seconds."""

    def __init__(self, plan: Plan, console: Console) -> None:
        """Tell as ``plan.settings`` say, and say on ``console`` what cannot be told."""
        self._policy, self._run, self._folder = plan.settings.alerts, plan.run, plan.folder
        self._labels = [stage for stage in plan.stages if stage.kind == "labels"]
        self._tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
        self._began = time.time()

    def __enter__(self) -> RunAlerts:
        if self._policy.to:
            from components.alerts.sender import Sender

            self._sender = Sender(SEND_S)
            telling.quietly(lambda: self._put([]), self._tell)  # made now, the outbox knows of what follows
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._policy.to:
            telling.quietly(self._end, self._tell)

    def failed(self, step: str, message: str) -> None:
        """Tell that ``step`` failed, and why."""
        if self._policy.to:
            telling.quietly(lambda: self._put([self._failure(step, message)]), self._tell)

    def decided(self) -> None:
        """Tell what the gate has said."""
        if self._policy.to:
            telling.quietly(self._collect, self._tell)

    def _failure(self, step: str, message: str) -> Event:
        from components.alerts.event import Event

        kind, _, dataset = step.partition("@")
        if kind == "labels" and (verdict := self._verdict(dataset)) is not None:
            return verdict
        text = "\n".join([*message.splitlines()[-_LINES:], f"The whole log: {self._folder / step}.log"])
        return Event(f"failure:{self._run}:{step}", "failure", f"{step} failed", text)

    def _verdict(self, dataset: str) -> Event | None:
        """Return what this run found of the labels of ``dataset``; None where it has not looked at them."""
        import hashlib

        from components.alerts.event import Event

        file = layout.label_errors(dataset) / "summary.json"
        if not file.exists() or file.stat().st_mtime < self._began:
            return None
        content = file.read_bytes()
        summary = json.loads(content)
        too_many = (
            "" if summary["success"] else ", more than its suite.yaml allows: models of it do not go on"
        )
        text = f"{summary['share']:.1%} of all{too_many}.\nAll of them: {file.with_name('index.html')}"
        title = f"{dataset}: {summary['likely']} labels are likely wrong"
        return Event(f"labels:{dataset}:{hashlib.sha256(content).hexdigest()}", "labels", title, text)

    def _put(self, events: list[Event]) -> None:
        from components.alerts import outbox

        with outbox.opened() as box:
            for event in events:
                box.put(event, self._policy.to)
        if events:
            self._sender.start()

    def _collect(self) -> None:
        from components.alerts import collecting, outbox

        with outbox.opened() as box:
            collecting.collect(box, self._policy)
            if box.owed(self._policy.to):
                self._sender.start()

    def _end(self) -> None:
        from components.alerts import outbox

        self._put([event for stage in self._labels if (event := self._verdict(stage.item))])
        try:
            self._collect()
        finally:
            with outbox.opened() as box:
                self._sender.finish(telling.WAIT_S, lambda: bool(box.owed(self._policy.to)))
                if left := len(box.owed(self._policy.to)):
                    self._tell(telling.waiting(left))
