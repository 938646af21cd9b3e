"""A user's own folder of pairs, from `darkroom data add` to tensors, as the user runs it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image, ImageOps

from components.datasets import manifest
from data.prepared import SPLITS, PreparedData
from tests.photo_folder import command, darkroom_data, digest, encode, photo, project, write


def pairs(folder, count: int = 12, **more: str) -> None:
    """Write photos, sketches of other sizes that are their negatives, and the file that pairs them."""
    lines = []
    for index in range(count):
        image = photo(index, 60, 48)
        sketch = ImageOps.invert(image.convert("L")).resize((image.width // 2, image.height // 2))
        write(folder / f"photos/{index:02d}.png", encode(image))
        write(folder / f"sketches/{index:02d}.jpg", encode(sketch, "JPEG"))
        named = {"file_name": f"photos/{index:02d}.png", "input_file_name": f"sketches/{index:02d}.jpg"}
        lines.append(json.dumps(named | more))
    write(folder / "metadata.jsonl", "\n".join(lines).encode())


def add(folder, root) -> None:
    darkroom_data(root, "add", str(folder), "--name", "mine", "--image-size", "16")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    pairs(folder / "mine")
    root = project(folder / "project")
    add(folder / "mine", root)
    darkroom_data(root, "infer", "mine")
    for stage in ("ingest", "validate", "prepare"):
        command(root, "-m", f"components.{stage}", "mine")
    return folder / "mine", root


def test_each_photo_comes_with_its_own_sketch(sound):
    folder, root = sound
    data = PreparedData(root / "artifacts/data/mine/prepared")
    assert (data.spec.task, data.spec.channels, data.spec.input_channels) == ("translation", 3, 1)
    seen = []
    for part in (getattr(data, split) for split in SPLITS):
        for id, image, sketch in zip(part.ids, part.images, part.inputs, strict=True):
            seen.append(id)
            photo_there = Image.open(folder / id).resize((16, 16), Image.Resampling.BILINEAR)
            file = folder / id.replace("photos", "sketches").replace("png", "jpg")
            sketch_there = Image.open(file).resize((16, 16), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(image, np.asarray(photo_there))
            np.testing.assert_array_equal(sketch[..., 0], np.asarray(sketch_there))
    assert sorted(seen) == [f"photos/{index:02d}.png" for index in range(12)]
    assert data.spec.classes == ("all",)  # nobody labelled them, and translation needs no labels


def test_the_same_pairs_give_the_same_bytes(sound):
    _, root = sound
    folder = root / "artifacts/data/mine/ingest"
    before = {name: content for name, (content, _, _) in digest(folder).items()}
    assert manifest.read(folder)["input_row"].notna().all()
    command(root, "-m", "components.ingest", "mine")
    assert {name: content for name, (content, _, _) in digest(folder).items()} == before


def put_faults(folder) -> None:
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    lines[4] = json.dumps({"file_name": "photos/04.png"})
    write(folder / "metadata.jsonl", "\n".join(lines).encode())
    write(folder / "sketches/03.jpg", b"no image")
    write(folder / "sketches/05.jpg", encode(photo(5, 48, 60).convert("L"), "JPEG"))
    for index in (6, 7, 8, 9, 10, 11):  # of one class, so that some of them are in other splits
        write(folder / f"sketches/{index:02d}.jpg", (folder / "sketches/00.jpg").read_bytes())


def test_every_fault_of_an_input_is_named_and_stops(sound, tmp_path):
    _, sound_root = sound
    pairs(tmp_path / "mine")
    root = project(tmp_path / "project")
    put_faults(tmp_path / "mine")
    add(tmp_path / "mine", root)
    write(root / "data/mine/suite.yaml", (sound_root / "data/mine/suite.yaml").read_bytes())
    command(root, "-m", "components.ingest", "mine")
    said = command(root, "-m", "components.validate", "mine", expect=2).stderr
    for told in (
        r"every input can be read and decoded.*\n.*broken by 3: photos/03.png \(not a JPEG.*"
        r"photos/04.png \(the metadata name no input_file_name",
        r"an input has the shape of its image.*\n.*broken by 1: photos/05.png",
        r"no input is in two splits.*\n.*broken by [5-7]: photos/0",
    ):
        assert re.search(told, said), said
