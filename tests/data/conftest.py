"""What tests of a machine's bounds share."""

from __future__ import annotations

import pytest

from data import control_groups


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Give a function that writes files below the mount of control groups, and what the process' own groups are."""
    monkeypatch.setattr(control_groups, "_GROUPS", tmp_path / "self")
    monkeypatch.setattr(control_groups, "_MOUNT", tmp_path)

    def write(own: str, files: dict[str, str]) -> None:
        (tmp_path / "self").write_text(own)
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return write
