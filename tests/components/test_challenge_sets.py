"""Folders of further images beside a data set: from dataset.yaml to what is measured, and never a part of a split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from components import ingest, prepare
from components.datasets import add, add_challenge_set, challenge_sets, listing, manifest
from components.datasets.challenge_sets import ChallengeSets
from components.project import layout
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from tests import coco_folder
from tests.photo_folder import encode, fill, photo, project, write


@pytest.fixture
def night(tmp_path, monkeypatch) -> Path:
    """Return a folder of 12 images; the current folder is a project with a data set ``mine`` of 24 others."""
    monkeypatch.chdir(project(tmp_path / "project"))
    fill(tmp_path / "photos")
    add.add(tmp_path / "photos", "mine", 16, {})
    lines = []
    for number in range(12):
        write(tmp_path / f"night/{number:02d}.png", encode(photo(100 + number)))
        line = {"file_name": f"{number:02d}.png", "label": ("cat", "dog")[number % 2]}
        lines.append(line | {"weather": ("fog", "rain")[number < 4], "group": f"street {number}"})
    write(tmp_path / "night/metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())
    return tmp_path / "night"


def prepared() -> ChallengeSets | None:
    verdict = {"success": True, "manifest": manifest.fingerprint(ingest.run("mine"))}
    atomic.write_json(layout.validation_file("mine"), verdict)
    prepare.run("mine")
    return challenge_sets.read("mine")


def contents() -> dict[Path, bytes]:
    """Return all files of the prepared folder."""
    return {path: path.read_bytes() for path in layout.prepared("mine").rglob("*") if path.is_file()}


def test_a_set_lies_beside_the_splits_and_changes_none(night):
    assert prepared() is None
    before = contents()
    assert add_challenge_set.add("mine", "night", night) == {"cat": 6, "dog": 6}
    found = prepared()
    assert contents() == before
    assert found.sets.rules == {"night": "all of its images"} and found.left_out == {"night": 0}
    assert found.data.test.ids == found.sets.ids == [f"night/{number:02d}.png" for number in range(12)]
    assert found.data.test.labels.tolist() == [0, 1] * 6 and found.data.spec.classes == ("cat", "dog")
    assert found.data.test.images.shape == (12, 16, 16, 3)
    train = PreparedData(layout.prepared("mine")).train
    assert found.data.train.ids == train.ids
    assert not np.isin(found.data.test.contents, train.contents).any()
    listing_noted = yaml.safe_load(layout.dataset_file("mine").read_text())["challenge_sets"]["night"][
        "listing"
    ]
    assert len(listing_noted) == 64
    some = found.without(found.data.test.contents[:3])
    assert some.sets.ids == some.data.test.ids == found.sets.ids[3:] and some.sets.members.shape == (9, 1)


def test_a_column_gives_a_set_for_each_value(night):
    add_challenge_set.add("mine", "street", night, "weather")
    found = prepared()
    assert found.sets.rules == {"street=fog": "weather is fog", "street=rain": "weather is rain"}
    assert found.sets.members.sum(axis=0).tolist() == [8, 4]
    before = found.sha256
    add_challenge_set.add("mine", "again", night)
    found = prepared()
    assert found.sets.names == ["street=fog", "street=rain", "again"] and len(found.sets.ids) == 24
    assert found.sha256 != before


def test_what_is_in_a_split_is_left_out_and_counted(night):
    write(night / "00.png", (night.parent / "photos/cat/03.png").read_bytes())
    add_challenge_set.add("mine", "night", night)
    found = prepared()
    assert found.left_out == {"night": 1} and "night/00.png" not in found.sets.ids
    for number in range(12):
        write(night / f"{number:02d}.png", (night.parent / "photos/cat/03.png").read_bytes())
    listing.refresh("mine")
    with pytest.raises(UserError, match=r"challenge_sets\.night: nothing is left of it"):
        prepared()


def test_a_group_that_is_in_a_split_is_left_out(night, tmp_path):
    names = sorted(
        path.relative_to(tmp_path / "photos").as_posix() for path in (tmp_path / "photos").rglob("*.*")
    )
    lines = [
        {"file_name": name, "label": name[:3], "group": f"street {place + 11}"}
        for place, name in enumerate(names)
    ]
    write(tmp_path / "photos/metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())
    path = layout.dataset_file("mine")
    values = yaml.safe_load(path.read_text()) | {"splits": {"by": "group", "validation": 0.3, "test": 0.3}}
    path.write_text(yaml.safe_dump(values))
    add.add(tmp_path / "photos", "mine", None, {})
    add_challenge_set.add("mine", "night", night)
    found = prepared()
    assert found.left_out == {"night": 1} and "night/11.png" not in found.sets.ids


def test_images_that_nothing_can_be_measured_on_are_refused(night):
    add_challenge_set.add("mine", "night", night)
    write(night / "05.png", b"no image")
    with pytest.raises(
        UserError, match=r"challenge_sets\.night\.listing: .* darkroom data challenge mine night"
    ):
        ingest.run("mine")
    listing.refresh("mine")
    with pytest.raises(UserError, match=r"night/05\.png: .*cannot be measured"):
        prepared()
    write(night / "05.png", encode(photo(1000)))
    text = (night / "metadata.jsonl").read_text()
    (night / "metadata.jsonl").write_text(text.replace('"dog"', '"dgo"', 1))
    listing.refresh("mine")
    with pytest.raises(
        UserError, match=r"night/01\.png: the data set has no class 'dgo'\. Did you mean 'dog'"
    ):
        prepared()


def test_a_folder_that_is_none_leaves_the_settings_as_they_are(night):
    before = layout.dataset_file("mine").read_bytes()
    with pytest.raises(UserError, match="no such folder"):
        add_challenge_set.add("mine", "night", night.parent / "nowhere")
    assert layout.dataset_file("mine").read_bytes() == before


def test_objects_come_with_their_boxes_and_masks(tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path / "project"))
    coco_folder.fill(tmp_path / "photos")
    coco_folder.fill(tmp_path / "hard")
    for number in range(10):
        image = photo(900 + number, coco_folder.HEIGHT, coco_folder.WIDTH)
        write(tmp_path / f"hard/{number:02d}.png", encode(image))
    add.add(tmp_path / "photos", "mine", 16, {})
    add_challenge_set.add("mine", "hard", tmp_path / "hard")
    found = prepared()
    assert found.left_out == {"hard": coco_folder.COUNT - 10} and len(found.sets.ids) == 10
    test, whole = found.data.test, PreparedData(layout.prepared("mine")).train
    assert test.boxes.shape[0] == 10 and test.boxes.shape[2] == 4 and test.masks.shape == (10, 16, 16)
    assert sorted(np.unique(test.box_labels)) == sorted(np.unique(whole.box_labels))
    assert "boxes" not in (layout.challenge_sets("mine") / "spec.json").read_text()


def test_transcripts_come_as_the_data_set_s_symbols(tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path / "project"))
    for folder, first, words in (("lines", 0, ("ab", "ba", "abba")), ("more", 50, ("bab",))):
        lines = []
        for number in range(24 if folder == "lines" else 5):
            write(tmp_path / f"{folder}/{number:02d}.png", encode(photo(first + number)))
            lines.append({"file_name": f"{number:02d}.png", "text": words[number % len(words)]})
        write(tmp_path / f"{folder}/metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())
    add.add(tmp_path / "lines", "mine", 16, {}, texts="transcripts")
    add_challenge_set.add("mine", "more", tmp_path / "more")
    found = prepared()
    assert found.data.test.texts.tolist() == [[1, 0, 1, -1]] * 5 and found.data.spec.symbols == (
        "a",
        "b",
    )
    text = (tmp_path / "more/metadata.jsonl").read_text()
    text = text.replace("bab", "bxb", 1).replace("bab", "abbab", 1)
    (tmp_path / "more/metadata.jsonl").write_text(text)
    listing.refresh("mine")
    told = r"more/00\.png: the data set has no symbol 'x'.*; more/01\.png: has 5 symbols, .* longest .* has 4"
    with pytest.raises(UserError, match=told):
        prepared()


def test_pairs_come_with_their_inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(project(tmp_path / "project"))
    for folder, first, count in (("pairs", 0, 20), ("hard", 50, 4)):
        lines = []
        for number in range(count):
            for kind, seed in (("of", first), ("from", first + 100)):
                write(tmp_path / f"{folder}/{kind}/{number:02d}.png", encode(photo(seed + number)))
            lines.append({"file_name": f"of/{number:02d}.png", "input_file_name": f"from/{number:02d}.png"})
        write(tmp_path / f"{folder}/metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())
    add.add(tmp_path / "pairs", "mine", 16, {})
    add_challenge_set.add("mine", "hard", tmp_path / "hard")
    test = prepared().data.test
    assert test.ids == [f"hard/of/{number:02d}.png" for number in range(4)]
    assert test.inputs.shape == (4, 16, 16, 3) and test.images.shape == (4, 16, 16, 3)
