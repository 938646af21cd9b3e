"""What folders and files of annotations are called that are of one split."""

from __future__ import annotations

import re

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
"""What a folder may be called to be taken for a split."""


def split_in(name: str) -> str | None:
    """Return the split that a word of ``name`` names, as in ``instances_train2017``; None for none or several."""
    found = {SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None
