"""A folder whose metadata tell groups and times: from its lines to the splits of the prepared data."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from components import ingest, prepare
from components.datasets import add, manifest
from components.project import layout
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from tests.photo_folder import encode, photo, project, write


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder of 60 images of 20 groups, a day between two groups; the current folder is a project."""
    monkeypatch.chdir(project(tmp_path / "project"))
    for number in range(60):
        write(tmp_path / f"photos/{number:02d}.png", encode(photo(number)))
    tell(tmp_path / "photos", {f"{number:02d}.png": number // 3 for number in range(60)})
    return tmp_path / "photos"


def tell(folder: Path, groups: dict[str, int]) -> None:
    lines = [
        {
            "file_name": name,
            "label": "ab"[group % 2],
            "group": f"ward {group}",
            "time": str(date(2026, 11, 1) + timedelta(days=group)),
        }
        for name, group in groups.items()
    ]
    write(folder / "metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())


def added(folder: Path, **splits: object) -> None:
    """Bring the folder in as it is now; ``splits`` are put in place of what the data set has."""
    add.add(folder, "mine", 16, {})
    path = layout.dataset_file("mine")
    values = yaml.safe_load(path.read_text())
    if splits:
        values["splits"] = splits
        path.write_text(yaml.safe_dump(values))
        add.add(folder, "mine", None, {})


def prepared() -> dict[str, set[str]]:
    """Return the ids of each split."""
    verdict = {"success": True, "manifest": manifest.fingerprint(ingest.run("mine"))}
    atomic.write_json(layout.validation_file("mine"), verdict)
    return {
        name: set(ids) for name, ids in json.loads((prepare.run("mine") / "ids.json").read_text()).items()
    }


def test_images_with_groups_are_split_by_them_unasked(folder):
    added(folder)
    assert yaml.safe_load(layout.dataset_file("mine").read_text())["splits"]["by"] == "group"
    found = prepared()
    assert sum(map(len, found.values())) == 60 and all(found.values())
    of_each = {name: {int(id[:2]) // 3 for id in ids} for name, ids in found.items()}
    assert all(len(ids) == 3 * len(of_each[name]) for name, ids in found.items())


def test_new_groups_move_no_image_and_a_changed_group_is_seen(folder):
    added(folder)
    before = prepared()
    for number in range(60, 75):
        write(folder / f"{number}.png", encode(photo(number)))
    groups = {f"{number:02d}.png": number // 3 for number in range(75)}
    tell(folder, groups)
    added(folder)
    after = prepared()
    assert all(before[name] <= after[name] for name in before)
    # One image is of another group after all: it goes where that one is, without being read again.
    of_train, of_test = min(after["train"]), min(after["test"])
    tell(folder, groups | {of_train: groups[of_test]})
    added(folder)
    assert of_train in prepared()["test"]


def test_the_contents_of_each_split_are_kept(folder):
    added(folder)
    found = prepared()
    data = PreparedData(layout.prepared("mine"))
    for name, ids in found.items():
        hashes = [hashlib.sha256((folder / id).read_bytes()).digest()[:8] for id in sorted(ids)]
        contents = getattr(data, name).contents
        assert contents.astype(">i8").tobytes() == b"".join(hashes)


def test_the_newest_weeks_are_tested_on(folder):
    added(folder, by="group", test_weeks=1, validation=0.3)
    found = prepared()
    assert found["test"] == {f"{number:02d}.png" for number in range(60) if number // 3 > 12}


def test_a_file_without_a_group_is_named(folder):
    added(folder)
    write(folder / "new.png", encode(photo(99)))
    added(folder)
    with pytest.raises(UserError, match=r"new\.png: splits\.by: group .* needs its 'group'"):
        ingest.run("mine")
