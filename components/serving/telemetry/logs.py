"""Logs on standard error: one line of JSON per event, or of plain text where a person looks on."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """A record as a line of JSON; ``extra`` fields stand beside ``time``, ``level`` and ``event``."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class PlainFormatter(logging.Formatter):
    """A record as a line for a person: local time, process, level unless it is info, event, ``extra`` fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        fields = " ".join(f"{key}={value}" for key, value in vars(record).items() if key not in _OWN)
        when = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        line = f"{when} {self._process}: {level}{record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def start(process: str) -> None:
    """Send all logs of this process, called ``process``, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((PlainFormatter if sys.stderr.isatty() else JsonFormatter)(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("darkroom").setLevel(logging.INFO)
