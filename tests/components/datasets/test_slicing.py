"""From lines of metadata, and from what ingest measures, to the slices of the test split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from components import ingest, prepare
from components.datasets import add, manifest, slices
from components.datasets.slices import Slices
from components.project import layout
from data import atomic
from data.errors import UserError
from tests.photo_folder import encode, photo, project, write

CAMERAS = ("old", "new", None)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder of 60 images of three cameras; the current folder is a project that has it as ``mine``."""
    monkeypatch.chdir(project(tmp_path / "project"))
    images = tmp_path / "photos"
    lines = []
    for number in range(60):
        write(images / f"{number:02d}.png", encode(photo(number)))
        lines.append(
            {"file_name": f"{number:02d}.png", "label": "ab"[number % 2], "camera": CAMERAS[number % 3]}
        )
    write(images / "metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())
    add.add(images, "mine", 16, {})
    return images


def sliced(**rules: object) -> Slices | None:
    """Return the slices that ``rules`` make of the data set."""
    path = layout.dataset_file("mine")
    values = yaml.safe_load(path.read_text()) | {"slices": rules, "splits": {"by": "class"}}
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    verdict = {"success": True, "manifest": manifest.fingerprint(ingest.run("mine"))}
    atomic.write_json(layout.validation_file("mine"), verdict)
    ids = json.loads((prepare.run("mine") / "ids.json").read_text())
    return slices.read("mine", ids["test"])


def rows() -> tuple[object, dict[str, list[str]]]:
    ids = json.loads((layout.prepared("mine") / "ids.json").read_text())
    return manifest.read(layout.ingested("mine")).set_index("id"), ids


def test_a_column_of_the_metadata_gives_a_slice_for_each_value(folder):
    found = sliced(camera={"column": "camera"}, kind={"column": "label", "values": ["b"]})
    assert found.names == ["camera=new", "camera=old", "kind=b"]
    numbers = np.array([int(id[:2]) for id in found.ids])
    assert (found.members[:, 0] == (numbers % 3 == 1)).all()
    assert (found.members[:, 1] == (numbers % 3 == 0)).all()
    assert (found.members[:, 2] == (numbers % 2 == 1)).all()


def test_a_share_is_a_value_of_the_train_split(folder):
    found = sliced(
        dark={"brightness": {"lowest": 0.3}},
        bright_wide={"brightness": {"highest": 0.5}, "width": {"at_least": 1}},
    )
    table, ids = rows()
    train, test = (table.loc[ids[split], "brightness"] for split in ("train", "test"))
    assert (found.members[:, 0] == (test <= np.quantile(train, 0.3))).all() and found.members[:, 0].any()
    assert (found.members[:, 1] == (test >= np.quantile(train, 0.5))).all()


def test_slices_change_nothing_that_is_trained_on(folder):
    assert sliced() is None
    before = {file: file.read_bytes() for file in layout.prepared("mine").rglob("*.json")}
    assert sliced(camera={"column": "camera"}) is not None
    assert before == {file: file.read_bytes() for file in layout.prepared("mine").rglob("*.json")}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"column": "camra"}, "slices.x.column: 'camra'"),
        ({"column": "camera", "values": ["odl"]}, "slices.x.values: .*'odl'.*'old'"),
    ],
)
def test_what_the_images_have_not_is_refused(folder, rule, told):
    with pytest.raises(UserError, match=told):
        sliced(x=rule)


def test_two_slices_of_one_name_are_refused(folder):
    with pytest.raises(UserError, match="'camera=old'"):
        sliced(**{"camera": {"column": "camera"}, "camera=old": {"width": {"below": 9}}})


def test_a_column_with_too_many_values_asks_for_those_that_count(folder, monkeypatch):
    monkeypatch.setattr("components.datasets.slicing.MOST", 1)
    with pytest.raises(UserError, match=r"slices\.x: .*values"):
        sliced(x={"column": "camera"})
