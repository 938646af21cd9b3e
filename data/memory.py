"""How much memory this process can still have: what the machine has to give, and no more than its container may."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from data import control_groups

_MACHINE = Path("/proc/meminfo")


def available() -> int:
    """Return the bytes; where no one tells them, more than there can be.

    A machine gives what is free or holds files that can be read again; a container what its limit leaves.
    """
    return min([sys.maxsize, *_of_machine(), *_of_containers()])


def _of_machine() -> Iterator[int]:
    with suppress(OSError):  # no Linux
        for line in _MACHINE.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield 1024 * int(line.split()[1])


def _of_containers() -> Iterator[int]:
    """Yield what each limit that holds for this process leaves; files that can be read again do not count as taken."""
    for folder in control_groups.folders("memory"):
        for limit, taken in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with suppress(OSError, ValueError):  # not there, or "max"
                yield max(0, int((folder / limit).read_text()) - _held(folder, taken))


def _held(folder: Path, taken: str) -> int:
    held = int((folder / taken).read_text())
    with suppress(OSError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "active_file"):
                held -= int(value)
    return max(0, held)
