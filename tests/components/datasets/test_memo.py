"""A folder of images is ingested again and again: what the memo spares changes nothing in the result."""

import os
from pathlib import Path

import numpy as np
import pytest

from components import ingest
from components.datasets import described, image_files, memo, parts
from components.project import layout
from data import atomic
from data.sources import reading
from tests import processes
from tests.photo_folder import digest, encode, fill, photo, project, write

DATASET = """\
source: imagefolder
folder: {folder}
listing: x
image: {{height: 16, width: 20, channels: 3, levels: 256}}
"""


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Return a folder of 40 images; the data set ``mine`` of the project that is the current folder."""
    return folder_in_parts(tmp_path, monkeypatch, DATASET)


def folder_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str) -> Path:
    """Make a folder of 40 images, and a project with the data set ``mine`` of it, whose parts are of four rows."""
    photos = tmp_path / "photos"
    fill(photos, per_class=20)
    monkeypatch.chdir(project(tmp_path / "project"))
    write(layout.dataset_file("mine"), settings.format(folder=photos).encode())
    for name in ("check", "confirm"):
        monkeypatch.setattr(ingest.listing, name, lambda dataset, settings: None)
    monkeypatch.setattr(memo, "_SETTLED", 0)
    monkeypatch.setattr(parts, "MEAN_ROWS", 4)
    return photos


@pytest.fixture
def read(monkeypatch):
    """Return the list of the files that were read."""
    found = []
    once = described._read
    monkeypatch.setattr(
        described, "_read", lambda path, nearest: (found.append(Path(path).name), once(path, nearest))[1]
    )
    return found


def ingested() -> dict[str, str]:
    return {name: content for name, (content, _, _) in digest(ingest.run("mine")).items()}


def from_nothing(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "from_nothing"
    with atomic.folder(folder):
        pass
    ingest.write("mine", ingest.spec.load(layout.dataset_file("mine")), folder)
    return {name: content for name, (content, _, _) in digest(folder).items()}


def change(photos: Path, random: np.random.Generator, seed: int, damaged: bool = True) -> None:
    """Add, write over, delete or rename some files, or bring one back with an older time."""
    files = sorted(photos.rglob("*.*"))
    for step in range(random.integers(1, 5)):
        content = encode(photo(1000 * seed + step), ("PNG", "JPEG")[step % 2])
        if damaged and random.random() < 0.2:
            content = b"no image"
        file = files[random.integers(len(files))]
        kind = random.integers(5)
        if kind == 0:
            write(photos / f"cat/new{seed}-{step}.png", content)
        elif kind == 1:
            write(file, content)
        elif kind == 2 and len(files) > 10:
            file.unlink(missing_ok=True)
        elif kind == 3 and file.exists():
            file.rename(photos / f"dog/moved{seed}-{step}{file.suffix}")
        elif kind == 4 and file.exists():
            os.utime(file, ns=(seed, seed))


@pytest.mark.parametrize("seed", range(3))
def test_any_changes_give_the_same_bytes_as_from_nothing(photos, tmp_path, seed):
    random = np.random.default_rng(seed)
    for step in range(6):
        assert ingested() == from_nothing(tmp_path)
        change(photos, random, 10 * seed + step + 1)


def test_only_what_is_new_or_changed_is_read(photos, read):
    first = ingested()
    files = [
        file for folder in ("manifest", "images") for file in (layout.ingested("mine") / folder).iterdir()
    ]
    inodes = {file.name: file.stat().st_ino for file in files}
    assert len(read) == 40
    read.clear()
    assert ingested() == first and not read
    assert {file.name: file.stat().st_ino for file in files} == inodes
    write(photos / "cat/new.png", encode(photo(99)))
    write(photos / "dog/03.png", encode(photo(98)))
    (photos / "cat/05.webp").unlink()
    ingested()
    assert sorted(read) == ["03.png", "new.png"]


def test_a_new_label_of_a_file_needs_no_reading(photos, read, tmp_path):
    lines = '{{"file_name": "cat/00.png", "label": "{}"}}\n{{"file_name": "dog/01.jpg", "label": "b"}}\n'
    for label in ("a", "c"):
        write(photos / "metadata.jsonl", lines.format(label).encode())
        read.clear()
        now = ingested()
    assert not read and now == from_nothing(tmp_path)


def test_a_file_that_could_not_be_read_is_tried_again(photos, read, monkeypatch):
    once = reading.content
    monkeypatch.setattr(
        reading, "content", lambda path: once(path if Path(path).name != "00.png" else "gone")
    )
    ingested()
    read.clear()
    ingested()
    assert set(read) == {"00.png"}


def cut_index(folder: Path) -> None:
    os.truncate(folder / "index", 300)


def flip_a_bit_of_each_shard(folder: Path) -> None:
    for file in (folder / "images").iterdir():
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.unlink()  # Else the files of the stage's out were damaged, too: they are the same.
        file.write_bytes(content)


def lose_a_manifest(folder: Path) -> None:
    next((folder / "manifest").iterdir()).unlink()


def swap_two_shards(folder: Path) -> None:
    one, other, *_ = sorted((folder / "images").iterdir())
    content = one.read_bytes()
    one.unlink()
    other.rename(one)
    other.write_bytes(content)


@pytest.mark.parametrize("harm", [cut_index, flip_a_bit_of_each_shard, lose_a_manifest, swap_two_shards])
def test_a_memo_that_is_damaged_changes_nothing(photos, tmp_path, harm):
    ingested()
    harm(layout.ingest_memo("mine"))
    write(photos / "cat/new.png", encode(photo(99)))
    os.utime(
        photos / "cat/new.png", ns=(5, 5)
    )  # Older than all: its part is another one, made of known files.
    assert ingested() == from_nothing(tmp_path)


def test_a_memo_of_other_settings_is_not_used(photos, read):
    ingested()
    read.clear()
    path = layout.dataset_file("mine")
    path.write_text(path.read_text().replace("levels: 256", "levels: 256, ground: [0, 0, 9]"))
    ingested()
    assert len(read) == 40


def test_a_change_of_a_moment_ago_is_not_trusted(photos, monkeypatch):
    monkeypatch.undo()
    write(photos / "cat/00.png", b"changed")
    now = (photos / "cat/00.png").stat().st_ctime_ns
    monkeypatch.setattr(memo.time, "time_ns", lambda: now + 1_000_000_000)
    assert memo.key(photos / "cat/00.png") == memo.UNKNOWN
    monkeypatch.setattr(memo.time, "time_ns", lambda: now + 3_000_000_000)
    assert memo.key(photos / "cat/00.png") != memo.UNKNOWN


@pytest.mark.parametrize("last", [1, 9, 17, 25, 33, 41])
def test_killed_at_any_moment_the_next_run_is_right(photos, tmp_path, last):
    """Writes to the disk: in parts, in renames, in the memo."""
    ingested()
    write(photos / "cat/new.png", encode(photo(99)))
    (photos / "dog/03.png").unlink()
    processes.kill_at_write(last, lambda: ingest.run("mine"))
    assert ingested() == from_nothing(tmp_path)


def test_keys_that_are_known_are_told_at_once_as_one_by_one(photos):
    assert not memo.Memo(Path("nowhere"), "x").known(bytes(32)).any()
    ingested()
    basis = image_files.basis(ingest.spec.load(layout.dataset_file("mine")))
    known = memo.Memo(layout.ingest_memo("mine"), basis)
    keys = [memo.key(file) for file in sorted(photos.rglob("*.*"))]
    half = [key[:8] + bytes(8) for key in keys]  # as if two keys had the same first half
    asked = [*keys, *half, memo.UNKNOWN, b"\xff" * 16]
    expected = [known.knows([key]) for key in asked]
    assert known.known(b"".join(asked)).tolist() == expected and sum(expected) == 40
