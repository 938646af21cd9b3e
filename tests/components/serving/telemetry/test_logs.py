"""Lines of the log, for programs and for people."""

from __future__ import annotations

import logging

import orjson
import pytest

from components.serving.telemetry import logs


@pytest.fixture
def record() -> logging.LogRecord:
    extra = {"model": "digits-cnn", "version": 3}
    return logging.getLogger("darkroom").makeRecord(
        "darkroom", logging.ERROR, "", 0, "refused", (), None, extra=extra
    )


def test_a_program_reads_json(record):
    line = orjson.loads(logs.JsonFormatter("follower").format(record))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "error",
        "process": "follower",
        "event": "refused",
        "model": "digits-cnn",
        "version": 3,
    }


def test_a_person_reads_a_line(record):
    line = logs.PlainFormatter("follower").format(record)
    assert line[8:] == " follower: error: refused model=digits-cnn version=3"


@pytest.mark.parametrize(
    ("terminal", "formatter"), [(True, logs.PlainFormatter), (False, logs.JsonFormatter)]
)
def test_who_looks_on_decides(terminal, formatter, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(logs.sys.stderr, "isatty", lambda: terminal, raising=False)
    logs.start("worker")
    assert [type(handler.formatter) for handler in root.handlers] == [formatter]
