"""File descriptors: each connection takes one, and where there is none left the kernel's connection is just closed."""

from __future__ import annotations

import contextlib
import resource

RESERVED = 64
"""Descriptors that connections leave for files and the like."""


def raise_limit() -> None:
    """Let this process open as many files as the system lets it; shells often allow 1,024 at first."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a system that tells a limit and does not grant it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_connections() -> int:
    """Return how many connections this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else max(1, soft - RESERVED)
