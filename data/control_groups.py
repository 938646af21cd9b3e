"""The control groups of this process: where a container's limits stand, of version 2 or 1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def folders(controller: str) -> Iterator[Path]:
    """Yield the folders of this process' groups of ``controller`` and of those above, as far as they are mounted."""
    try:
        lines = _GROUPS.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = _MOUNT / controllers
        inner = Path(path.lstrip("/"))
        # Within a container its own group is often the root of the mount, whatever the path says.
        yield from (mount / folder for folder in (inner, *inner.parents))
