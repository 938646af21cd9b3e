"""What a run prints, as logs of Prefect's: whoever asked for the run reads them wherever it runs."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from prefect.logging.loggers import PrefectLogAdapter

PREFIX = "prefect.flow_runs.darkroom."
OUT, ERR, END = (f"{PREFIX}{which}" for which in ("out", "err", "end"))
"""Names of loggers: of lines of the two streams, and of the mark after the last one."""


@contextmanager
def logged(logger: logging.Logger | PrefectLogAdapter) -> Iterator[None]:
    """Send each line that the block prints to the logs of the flow run that ``logger`` belongs to."""
    out, err, end = (logger.getChild(name.removeprefix("prefect.flow_runs.")) for name in (OUT, ERR, END))
    try:
        with redirect_stdout(_Lines(out)) as told, redirect_stderr(_Lines(err)) as errors:
            try:
                yield
            finally:
                told.close()
                errors.close()
    finally:
        end.info("the end of what the run printed")


class _Lines(io.TextIOBase):
    """A text stream, of several threads, that logs each whole line."""

    def __init__(self, logger: logging.Logger | PrefectLogAdapter) -> None:
        self._logger, self._begun, self._lock = logger, "", threading.Lock()
        self._logging = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if hasattr(
            self._logging, "goes_on"
        ):  # it says here that it cannot print, as where the worker is gone
            return len(text)
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
        self._logging.goes_on = True
        try:
            for line in lines:
                self._logger.info("%s", line)
        finally:
            del self._logging.goes_on
        return len(text)

    def close(self) -> None:
        if self._begun:
            self.write("\n")
        super().close()
