"""The file of slices: what is written is read again, for all test examples or some."""

from __future__ import annotations

import numpy as np
import pytest

from components.datasets import slices
from components.datasets.slices import Slices
from components.project import layout
from data.errors import UserError

IDS = ["a", "b", "c"]
FOUND = Slices(
    IDS, {"id": "a slice of this name", "camera=é": "camera is é"}, np.array([[1, 0], [0, 0], [1, 1]], bool)
)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_is_written_is_read(tmp_path):
    slices.write(layout.slices_file("d"), FOUND)
    found = slices.read("d", IDS)
    assert (found.rules, found.names, found.sha256) == (FOUND.rules, ["id", "camera=é"], FOUND.sha256)
    assert (found.members == FOUND.members).all()
    assert slices.read("d").sha256 == FOUND.sha256
    some = slices.read("d", ["c", "a"])
    assert (some.members == FOUND.members[[2, 0]]).all() and some.sha256 != FOUND.sha256
    slices.write(tmp_path / "again", FOUND)
    assert (tmp_path / "again").read_bytes() == layout.slices_file("d").read_bytes()


def test_a_data_set_without_slices_has_none():
    assert slices.read("d", IDS) is None
    slices.write(layout.slices_file("d"), None)
    assert slices.read("d", IDS) is None


def test_slices_of_other_examples_are_refused():
    slices.write(layout.slices_file("d"), FOUND)
    with pytest.raises(UserError, match=r"slices\.parquet: .*'x'"):
        slices.read("d", ["a", "x"])
