"""How long a stage may take."""

from __future__ import annotations

from collections.abc import Mapping

MINUTES = {
    "ingest": 240.0,
    "validate": 60.0,
    "prepare": 120.0,
    "labels": 240.0,
    "judge": 240.0,
    "weights": 240.0,
    "train": 1440.0,
    "evaluate": 120.0,
    "export": 60.0,
}
"""By kind of stage, unless ``params.yaml`` says otherwise under ``time_limits``."""


def seconds(kind: str, said: Mapping[str, float]) -> float:
    """Return the seconds that a stage of ``kind`` may take; ``said`` are the ``time_limits`` of ``params.yaml``."""
    return 60 * said.get(kind, MINUTES[kind])
