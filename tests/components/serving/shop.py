"""A registry whose model ``m`` is asked for its versions."""

from __future__ import annotations

import time

import numpy as np

from components import register
from tests.components import workspace
from tests.components.serving.server import Client


def add(seed: int, **export) -> int:
    """Export and register another version of ``m``; return its number."""
    workspace.export("m", seed=seed, **export)
    return register.run("m").version


def until(condition, seconds: float = 60):
    """Wait for ``condition()`` and return what it gave."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.01)
    return found


def version_of(client: Client) -> str:
    return client.infer("m", {"image": np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)})[0]
