"""How much memory this process may have: what the machine has, and no more than its container may."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from data import control_groups

_MACHINE = Path("/proc/meminfo")
_LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Files of a control group of version 2 and 1: its limit, and what is taken."""


def total() -> int:
    """Return all that this process and others may have together, in bytes; ``sys.maxsize`` where no one tells it."""
    return min([sys.maxsize, *_of_machine("MemTotal"), *(limit for _, limit, _ in _limits())])


def available() -> int:
    """Return what is left of it, in bytes; ``sys.maxsize`` where no one tells it.

    A machine gives what is free or holds files that can be read again; a container what its limit leaves.
    """
    left = (max(0, limit - _held(folder, taken)) for folder, limit, taken in _limits())
    return min([sys.maxsize, *_of_machine("MemAvailable"), *left])


def _of_machine(name: str) -> Iterator[int]:
    with suppress(OSError):  # no Linux
        for line in _MACHINE.read_text().splitlines():
            if line.startswith(f"{name}:"):
                yield 1024 * int(line.split()[1])


def _limits() -> Iterator[tuple[Path, int, str]]:
    """Yield each control group of this process that has a limit: its folder, the bytes, the file of what is taken."""
    for folder in control_groups.folders("memory"):
        for limit, taken in _LIMITS:
            with suppress(OSError, ValueError):  # not there, or "max"
                yield folder, int((folder / limit).read_text()), taken


def _held(folder: Path, taken: str) -> int:
    """Return what a control group holds; files that can be read again do not count."""
    held = int((folder / taken).read_text())
    with suppress(OSError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "active_file"):
                held -= int(value)
    return max(0, held)
