"""A folder of images is prepared again and again: what the memo spares changes nothing in the result."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from components import ingest, prepare
from components.datasets import manifest, picture_parts
from components.project import layout
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from tests import processes
from tests.components.datasets.test_memo import change, folder_in_parts
from tests.photo_folder import digest, encode, photo, write

DATASET = """\
source: imagefolder
folder: {folder}
listing: x
image: {{height: 8, width: 9, channels: 3, storage: STORAGE}}
splits: {{validation: 0.25, test: 0.25}}
"""


@pytest.fixture(params=["raw", "encoded"])
def photos(request, tmp_path, monkeypatch):
    """Return a folder of 40 images; the data set ``mine`` of the project that is the current folder."""
    monkeypatch.setattr(prepare, "early_picture_memo", lambda dataset: Path("nothing"))
    return folder_in_parts(tmp_path, monkeypatch, DATASET.replace("STORAGE", request.param))


@pytest.fixture
def made(monkeypatch):
    """Return the list of the names of the images that were decoded."""
    found = []
    once = picture_parts.array
    monkeypatch.setattr(
        picture_parts, "array", lambda row, *rest: (found.append(Path(row.id).name), once(row, *rest))[1]
    )
    return found


def prepared() -> dict[str, str]:
    verdict = {"success": True, "manifest": manifest.fingerprint(ingest.run("mine"))}
    atomic.write_json(layout.validation_file("mine"), verdict)
    return {name: content for name, (content, _, _) in digest(prepare.run("mine")).items()}


def from_nothing(monkeypatch) -> dict[str, str]:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(prepare, "picture_memo", lambda dataset: Path("nothing"))
        shutil.rmtree("nothing", ignore_errors=True)
        return prepared()


@pytest.mark.parametrize("seed", range(2))
def test_any_changes_give_the_same_bytes_as_from_nothing(photos, monkeypatch, seed):
    random = np.random.default_rng(seed)
    for step in range(4):
        assert prepared() == from_nothing(monkeypatch)
        change(photos, random, 10 * seed + step + 1, damaged=False)


def test_only_the_parts_of_what_is_new_are_decoded_and_the_others_stay_files(photos, made):
    prepared()
    assert len(made) == 40
    pixels = {file: file.stat().st_ino for file in Path(layout.prepared("mine")).rglob("*/*.safetensors")}
    made.clear()
    prepared()
    assert not made
    write(photos / "cat/new.png", encode(photo(99)))
    prepared()
    assert "new.png" in made and len(made) < 20
    stayed = [file for file, inode in pixels.items() if file.exists() and file.stat().st_ino == inode]
    assert len(stayed) >= len(pixels) - 1


def test_parts_of_the_same_pixels_are_one_file(photos):
    for file in (photos / "dog").iterdir():
        file.unlink()
    for number in range(24):
        write(photos / f"dog/{number:02d}.png", encode(photo(7)))
        os.utime(photos / f"dog/{number:02d}.png", ns=(number, number))
    prepared()
    data = PreparedData(layout.prepared("mine"))
    for split in (data.train, data.validation, data.test):
        for image, id in zip(split.images, split.ids, strict=True):
            expected = data.spec.frame(3).read((photos / id).read_bytes())[0]
            np.testing.assert_array_equal(image, expected)


def cut_index(folder: Path) -> None:
    os.truncate(folder / "index", 300)


def flip_a_bit_of_each_file(folder: Path) -> None:
    for file in folder.rglob("*.safetensors"):
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.unlink()  # Else the files of the stage's out were damaged, too: they are the same.
        file.write_bytes(content)


def lose_files(folder: Path) -> None:
    for inner in ("pixels", "facts"):
        for file in [*(folder / inner).iterdir()][:2]:
            file.unlink()


@pytest.mark.parametrize("harm", [cut_index, flip_a_bit_of_each_file, lose_files])
def test_a_memo_that_is_damaged_changes_nothing(photos, harm):
    expected = prepared()
    harm(layout.picture_memo("mine"))
    assert prepared() == expected


def test_a_shard_of_ingest_that_is_damaged_is_noticed_where_it_is_kept(photos):
    prepared()
    for shard in (layout.ingested("mine") / "images").iterdir():
        content = bytearray(shard.read_bytes())
        content[-5] ^= 1
        shard.unlink()
        shard.write_bytes(content)
    if "encoded" in layout.dataset_file("mine").read_text():
        with pytest.raises(UserError, match="are not those of the manifest"):
            prepare.run("mine")
    else:
        prepare.run("mine")


@pytest.mark.parametrize("old, new", [("height: 8", "height: 7"), ("channels: 3", "channels: 1")])
def test_a_memo_of_other_settings_is_not_used(photos, made, old, new):
    prepared()
    made.clear()
    path = layout.dataset_file("mine")
    path.write_text(path.read_text().replace(old, new))
    prepared()
    assert len(made) == 40


@pytest.mark.parametrize("last", [1, 9, 17, 25, 33])
def test_killed_at_any_moment_the_next_run_is_right(photos, monkeypatch, last):
    """Writes to the disk: in parts, in renames, in the memo."""
    prepared()
    write(photos / "cat/new.png", encode(photo(99)))
    (photos / "dog/03.png").unlink()
    expected = from_nothing(monkeypatch)
    processes.kill_at_write(last, lambda: prepare.run("mine"))
    assert prepared() == expected
