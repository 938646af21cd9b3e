"""What params.yaml tells DVC of data sets that are made from others."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.project import lineage
from data import atomic
from data.errors import UserError

OWN, PARENTS = "data/photos/dataset.yaml", "artifacts/data/photos/prepared"
IMAGE = "image: {height: 8, width: 8, channels: 1}\n"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    derived = f"source: derived\nfrom: photos\nrecipe: edges\ninput_channels: 1\n{IMAGE}"
    atomic.write_text(Path(OWN), f"source: imagefolder\nfolder: /photos\n{IMAGE}")
    atomic.write_text(Path("data/outlines/dataset.yaml"), derived)


def test_parents_come_first():
    assert list(lineage.entries("outlines").items()) == [("photos", OWN), ("outlines", PARENTS)]
    assert lineage.entries("photos") == {"photos": OWN}


def test_right_entries_pass():
    assert lineage.check({"outlines": PARENTS, "photos": OWN}) is None


def test_an_entry_that_would_hide_a_change_of_the_parent_is_refused():
    said = f"datasets.outlines: 'data/outlines/dataset.yaml', but its ingest reads '{PARENTS}'"
    with pytest.raises(UserError, match=said):
        lineage.check({"photos": OWN, "outlines": "data/outlines/dataset.yaml"})


def test_a_missing_parent_is_named_with_its_line():
    with pytest.raises(UserError, match=f"'outlines' is made from 'photos'.*Add: photos: {OWN}"):
        lineage.check({"outlines": PARENTS})
