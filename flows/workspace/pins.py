"""What is installed against what the project's lock says."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path("requirements.lock")


def others(lock: Path) -> list[tuple[str, str, str]]:
    """Return what is installed in another version than ``lock`` pins for this machine: name, pinned, installed.

    ``none`` is installed of what is missing.
    """
    installed = {canonicalize_name(dist.name): dist.version for dist in importlib.metadata.distributions()}
    found = []
    for line in lock.read_text().splitlines():
        if "==" not in line:
            continue
        pin = Requirement(line)
        version = installed.get(canonicalize_name(pin.name))
        if (pin.marker is None or pin.marker.evaluate()) and (
            version is None or not pin.specifier.contains(version, prereleases=True)
        ):
            found.append((pin.name, str(pin.specifier).removeprefix("=="), version or "none"))
    return found
