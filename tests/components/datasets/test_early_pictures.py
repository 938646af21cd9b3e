"""What ingest decodes, prepare need not: the same bytes come out, whatever ingest kept."""

import shutil
from pathlib import Path

import pytest

from components import prepare
from components.datasets import early_pictures, image_files
from components.project import layout
from data.spec import DatasetSpec
from tests.components.datasets.test_picture_memo import (
    cut_index,
    flip_a_bit_of_each_file,
    lose_files,
    made,
    photos,
    prepared,
)
from tests.photo_folder import encode, photo, write

__all__ = ["made", "photos"]

pytestmark = pytest.mark.parametrize("photos", ["raw"], indirect=True)


@pytest.fixture(autouse=True)
def kept(photos, monkeypatch):
    """Let prepare take what ingest keeps, and have no memo of its own."""
    monkeypatch.setattr(prepare, "early_picture_memo", layout.early_picture_memo)
    monkeypatch.setattr(prepare, "picture_memo", lambda dataset: Path("own"))


def prepared_from_nothing() -> dict[str, str]:
    for folder in (Path("own"), layout.ingest_memo("mine"), layout.early_picture_memo("mine")):
        shutil.rmtree(folder, ignore_errors=True)
    return prepared()


def test_prepare_decodes_nothing_again_and_writes_the_same_bytes(photos, made, monkeypatch):
    found = prepared_from_nothing()
    assert not made
    monkeypatch.setattr(prepare, "early_picture_memo", lambda dataset: Path("nothing"))
    assert prepared_from_nothing() == found and len(made) == 40


def test_files_that_processes_read_give_the_same_bytes(photos, made, monkeypatch):
    expected = prepared_from_nothing()
    monkeypatch.setattr(image_files, "_MANY", 1)
    assert prepared_from_nothing() == expected and not made


def test_parts_with_new_and_old_images_are_made_by_prepare(photos, made):
    prepared_from_nothing()
    write(photos / "cat/new.png", encode(photo(99)))
    found = prepared()
    assert 0 < len(made) < 20
    assert prepared_from_nothing() == found


def test_parts_of_more_pixels_than_are_held_are_made_by_prepare(photos, made, monkeypatch):
    expected = prepared_from_nothing()
    monkeypatch.setattr(early_pictures, "_MOST_BYTES", 4 * 8 * 9 * 3)
    assert prepared_from_nothing() == expected and 0 < len(made) < 40


@pytest.mark.parametrize("harm", [cut_index, flip_a_bit_of_each_file, lose_files])
def test_what_is_damaged_is_made_again(photos, made, harm):
    expected = prepared_from_nothing()
    shutil.rmtree("own")
    harm(layout.early_picture_memo("mine"))
    prepare.run("mine")
    assert prepared() == expected and made


@pytest.mark.parametrize(
    "more",
    [
        {"image": {"height": 80, "width": 80, "channels": 3}},  # kept as files
        {"image": {"height": 8, "width": 8, "channels": 3, "levels": 17}},  # prepare looks at each value
        {"input_channels": 1},
        {"objects": {"masks": True}},
    ],
)
def test_other_data_is_left_to_prepare(photos, more):
    values = {
        "source": "imagefolder",
        "folder": photos,
        "listing": "x",
        "image": {"height": 8, "width": 8, "channels": 3},
    }
    assert early_pictures.frame_of(DatasetSpec.model_validate(values)) is not None
    assert early_pictures.frame_of(DatasetSpec.model_validate(values | more)) is None
