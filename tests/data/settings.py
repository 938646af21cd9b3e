"""A ``dataset.yaml`` that a test writes and loads."""

from __future__ import annotations

from pathlib import Path

from data import spec

IMAGE = "image: {height: 8, width: 8, channels: 1}\n"
FOLDER = f"source: imagefolder\nfolder: /somewhere\n{IMAGE}"


def load(folder: Path, text: str) -> spec.DatasetSpec:
    (folder / "dataset.yaml").write_text(text)
    return spec.load(folder / "dataset.yaml")
