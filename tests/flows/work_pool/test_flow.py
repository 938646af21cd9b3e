"""The flow that a worker runs, called as a function: what it makes of how a run ends."""

from __future__ import annotations

import logging
import sys

import pytest

from data.errors import UserError
from flows.work_pool import run_output

pytestmark = pytest.mark.filterwarnings(
    "ignore:Logger .prefect.flow_runs"
)  # there is no flow run to send them for


@pytest.fixture
def ends(monkeypatch):
    """Have a run end in a way, and return the state that the flow returns then."""
    from flows.work_pool import flow

    monkeypatch.setattr(flow, "get_run_logger", lambda: logging.getLogger("prefect.flow_runs"))
    monkeypatch.setattr(flow.project, "enter", lambda: None)

    def as_(run):
        monkeypatch.setattr(flow.run, "run", run)
        return flow.worker_retraining.fn(["one"], engine="isolated")

    return as_


def test_the_state_tells_how_the_run_ended(ends):
    asked = []
    assert ends(lambda *told, **more: asked.append((told, more)) or 0) is None
    assert asked == [((["one"], False, False), {"wait": True, "engine": "isolated"})]
    failed = ends(lambda *_, **__: 1)
    assert (failed.type, failed.name) == ("FAILED", "Failed")

    def mistaken(*_, **__):
        raise UserError("params.yaml: a mistake")

    refused = ends(mistaken)
    assert (refused.type, refused.name, refused.message) == ("FAILED", "Refused", "params.yaml: a mistake")


def test_each_line_of_both_streams_is_a_record_and_the_end_is_marked(caplog):
    with caplog.at_level("INFO"), run_output.logged(logging.getLogger("prefect.flow_runs")):
        print("one\ntwo", file=sys.stderr)
        print("begun ", end="")
        print("and ended, 100 %s")
        print("without an end", end="")
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        (run_output.ERR, "one"),
        (run_output.ERR, "two"),
        (run_output.OUT, "begun and ended, 100 %s"),
        (run_output.OUT, "without an end"),
        (run_output.END, "the end of what the run printed"),
    ]
