"""Processes that a test started, wherever they went: they are known by a variable of their environment."""

from __future__ import annotations

import psutil


def marked(variable: str, value: str) -> list[psutil.Process]:
    """Return the live processes in whose environment ``variable`` is ``value``."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:  # it ended, or it is another account's
            continue
    return found
