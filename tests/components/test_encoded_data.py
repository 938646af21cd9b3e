"""Photographs that stay files, from a folder to the arrays that models read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from components import ingest, prepare
from components.datasets import manifest
from data import atomic
from data.arrays import PlacedArray
from data.encoded import EncodedArray
from data.errors import UserError
from data.frames import Frame
from data.prepared import SPLITS, PreparedData
from tests.photo_folder import digest, encode, photo, project, write

DATASET = """\
source: imagefolder
folder: {folder}
listing: x
image: {{height: 80, width: 96, channels: 3, fit: crop{more}}}
splits: {{validation: 0.25, test: 0.25}}
"""
FRAME = Frame(height=80, width=96, channels=3, fit="crop", reduced=True)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a project whose data set ``mine`` of 24 photographs has passed its validation."""
    for number in range(24):
        turned = Image.Exif()
        turned[0x0112] = 6 if number % 3 == 0 else 1
        content = encode(photo(number, 190 + number, 260), "JPEG", exif=turned)
        write(tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number:02d}.jpg", content)
    root = project(tmp_path / "project")
    monkeypatch.chdir(root)
    for name in ("check", "confirm"):
        monkeypatch.setattr(ingest.listing, name, lambda dataset, settings: None)
    (root / "data/mine").mkdir()
    set_up(tmp_path)
    return root


def set_up(tmp_path, more: str = "") -> None:
    file = tmp_path / "project/data/mine/dataset.yaml"
    file.write_text(DATASET.format(folder=tmp_path / "photos", more=more))
    ingested = ingest.run("mine")
    verdict = {"success": True, "manifest": manifest.fingerprint(ingested)}
    atomic.write_json(ingested.parent / "validation.json", verdict)


def test_files_stay_files_and_give_the_pixels_of_their_frame(root, tmp_path):
    data = PreparedData(prepare.run("mine"))
    assert data.spec.encoded and data.spec.fit == "crop"
    for name in SPLITS:
        split = getattr(data, name)
        assert isinstance(split.images, EncodedArray) and split.images.shape == (len(split), 80, 96, 3)
        for image, id in zip(split.images, split.ids, strict=True):
            np.testing.assert_array_equal(image, FRAME.read((tmp_path / "photos" / id).read_bytes())[0])
            assert data.spec.classes[split.labels[split.ids.index(id)]] == id.split("/")[0]
    scaled = np.asarray(data.train.images) / 255
    np.testing.assert_allclose(data.spec.mean, scaled.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(data.spec.std, scaled.std(axis=(0, 1, 2)), rtol=1e-9)


def test_no_file_is_written_twice(root, tmp_path):
    folder = prepare.run("mine")
    files = sum(file.stat().st_size for file in (tmp_path / "photos").rglob("*.jpg"))
    for shard in (folder / "images").iterdir():
        assert shard.stat().st_nlink >= 2
        assert shard.samefile(folder.parent / "ingest/images" / shard.name)
    others = sum(
        file.stat().st_size
        for stage in ("ingest", "prepared")
        for file in (folder.parent / stage).rglob("*")
        if file.is_file() and file.parent.name != "images"
    )
    shards = sum(shard.stat().st_size for shard in (folder / "images").iterdir())
    assert shards <= 1.01 * files + 2000 and others < 40_000


def test_it_is_the_same_from_another_ingest(root, tmp_path):
    first = prepare.run("mine")
    before, sha256 = digest(first), PreparedData(first).spec.sha256
    set_up(tmp_path)
    assert digest(prepare.run("mine")).keys() == before.keys()
    assert PreparedData(first).spec.sha256 == sha256


def test_what_is_said_wins_over_the_size(root, tmp_path):
    set_up(tmp_path, ", storage: raw")
    data = PreparedData(prepare.run("mine"))
    assert not data.spec.encoded and isinstance(data.train.images, PlacedArray)
    assert "encoded" not in json.loads((data.folder / "spec.json").read_text())
    whole = Frame(height=80, width=96, channels=3, fit="crop")
    content = (tmp_path / "photos" / data.train.ids[0]).read_bytes()
    np.testing.assert_array_equal(data.train.images[0], whole.read(content)[0])


def test_levels_cannot_be_those_of_files(root, tmp_path):
    with pytest.raises(UserError, match=r"image\.storage: encoded is for files of 256 levels"):
        set_up(tmp_path, ", storage: encoded, levels: 17")


def test_a_file_that_was_damaged_after_prepare_is_named(root):
    data = PreparedData(prepare.run("mine"))
    (shard,) = (data.folder / "images").iterdir()
    content = bytearray(shard.read_bytes())
    header = 16 + int.from_bytes(content[:8], "little") + 8 * 24
    content[header:] = bytes(len(content) - header)
    shard.write_bytes(content)
    with pytest.raises(
        UserError, match=rf"{shard.name}: image \d+: .*Run the ingest and prepare stages again"
    ):
        PreparedData(data.folder).train.images[0]
