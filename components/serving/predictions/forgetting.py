"""Requests that the prediction log is to forget: a note for each, until that is surely done.

A worker writes a note, and the recorder does it, also where it is killed and started again in between.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from components.project.layout import PREDICTIONS
from data import atomic


def ask(model: str, id: str) -> None:
    """Note that the request ``id`` is to be forgotten."""
    name = hashlib.sha256(id.encode()).hexdigest()[:32]
    atomic.write_json(PREDICTIONS / model / "deleted" / f"{name}.json", {"request_id": id})


def notes(model: str) -> dict[Path, str]:
    """Return the requests that are to be forgotten, by the notes that say so."""
    found = sorted((PREDICTIONS / model / "deleted").glob("*.json"))
    return {note: json.loads(note.read_text())["request_id"] for note in found}
