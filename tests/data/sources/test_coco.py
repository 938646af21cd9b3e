"""COCO's JSON as people write it, and each mistake in it by its file and key."""

from __future__ import annotations

import json

import pytest

from data.errors import UserError
from data.objects import Runs
from data.sources import coco, imagefolder
from data.sources.listing import scan
from tests import coco_folder
from tests.photo_folder import encode, photo, write


def test_objects_come_with_their_image(tmp_path):
    coco_folder.fill(tmp_path)
    file = tmp_path / "instances.json"
    files = {found.id: found for found in imagefolder.load(tmp_path, scan(tmp_path, [file]), (file,))}
    assert sorted(files) == [f"{image:02d}.png" for image in range(24)]
    first, second, last = (files[f"{image}.png"] for image in ("00", "01", "23"))
    assert [(one.category, one.box, one.crowd) for one in first.objects] == [
        ("ant", (4, 5, 20, 10), False),
        ("zebra", (40, 30, 10, 10), True),
    ]
    assert isinstance(first.objects[1].mask, Runs) and first.size == (50, 40)
    assert second.objects[1].mask == (tuple(coco_folder.rectangle(14, 10, 25, 20)),)
    assert last.objects == () and last.label is None
    assert coco.categories((file,)) == ["ant", "zebra"]  # by id


def test_images_that_are_not_listed_are_no_examples_and_listed_ones_that_are_missing_are(tmp_path):
    values = coco_folder.described()
    values["images"][5]["file_name"] = "gone.png"
    coco_folder.fill(tmp_path, values)
    file = tmp_path / "instances.json"
    found = [one.id for one in imagefolder.load(tmp_path, scan(tmp_path, [file]), (file,))]
    assert "05.png" not in found and "gone.png" in found


def test_a_file_in_a_split_s_folder_names_what_lies_beside_it(tmp_path):
    for split in ("train", "valid"):
        values = coco_folder.described()
        coco_folder.fill(tmp_path / split, values, "_annotations.coco.json")
    files = tuple(coco.find(tmp_path))
    assert [file.parent.name for file in files] == ["train", "valid"]
    found = imagefolder.load(tmp_path, scan(tmp_path, files), files)
    assert {(one.id.split("/")[0], one.split) for one in found} == {
        ("train", "train"),
        ("valid", "validation"),
    }
    assert all(one.path.is_file() for one in found) and len(found) == 48


def test_found_in_the_folder_else_beside_it(tmp_path):
    photos = tmp_path / "photos"
    write(photos / "1.png", encode(photo(1)))
    write(photos / "settings.json", b'{"images": 3}')
    write(photos / "broken.json", b"{")
    assert coco.find(photos) == []
    write(tmp_path / "all.json", json.dumps(coco_folder.described()).encode())
    assert coco.find(photos) == [tmp_path / "all.json"]
    write(photos / "annotations/mine.json", json.dumps(coco_folder.described()).encode())
    assert coco.find(photos) == [photos / "annotations/mine.json"]


def put(values, key, index, **changes):
    values[key][index] |= changes


def drop(values, key, index, name):
    del values[key][index][name]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda v: v.pop("annotations"), r"annotations: COCO's JSON has a list of that name"),
        (lambda v: put(v, "images", 3, id=2), r"images.3: id: 2 is another image's too, '02.png'"),
        (
            lambda v: put(v, "images", 3, file_name="02.png"),
            r"images.3: file_name: '02.png' is another image's",
        ),
        (
            lambda v: put(v, "images", 3, file_name="../02.png"),
            r"images.3: file_name: '../02.png' is no path in",
        ),
        (lambda v: put(v, "images", 3, file_name=7), r"images.3: file_name: must be a text \(got 7\)"),
        (lambda v: drop(v, "images", 3, "id"), r"images.3: id: must be a whole number \(got None\)"),
        (lambda v: put(v, "categories", 1, id=7), r"categories.1: its id 7 or its name 'ant' is another"),
        (
            lambda v: put(v, "annotations", 2, image_id=99),
            r"annotations.2 \(id 102\): image_id: 99 is no id of 'im",
        ),
        (
            lambda v: put(v, "annotations", 2, category_id=1),
            r"annotations.2 \(id 102\): category_id: 1 is no id of 'categories': 3 ant, 7 zebra",
        ),
        (lambda v: drop(v, "annotations", 2, "bbox"), r"annotations.2 \(id 102\): bbox: needs four numbers"),
        (lambda v: put(v, "annotations", 2, bbox=[1, 2, 3]), r"bbox: needs four numbers.*\[1, 2, 3\]"),
        (lambda v: put(v, "annotations", 2, bbox=[1, 2, 3, "4"]), r"bbox: needs four numbers"),
        (lambda v: put(v, "annotations", 2, bbox=[1, 2, 3, float("nan")]), r"bbox: needs four numbers"),
        (
            lambda v: put(v, "annotations", 2, segmentation=[[1, 2, 3, 4]]),
            r"segmentation.0: a polygon is x and y",
        ),
        (lambda v: put(v, "annotations", 2, segmentation="x"), r"segmentation: needs polygons"),
        (
            lambda v: put(v, "annotations", 2, segmentation={"counts": "abc", "size": [40, 50]}),
            r"segmentation.counts: is compressed",
        ),
        (
            lambda v: put(v, "annotations", 2, segmentation={"counts": [1, 2], "size": [40, 50]}),
            r"segmentation: 'counts' must be run lengths that add up",
        ),
    ],
)
def test_a_mistake_is_named_by_file_and_key(tmp_path, spoil, told):
    values = coco_folder.described()
    spoil(values)
    coco_folder.fill(tmp_path, values)
    file = tmp_path / "instances.json"
    with pytest.raises(UserError, match=told) as caught:
        coco.load(tmp_path, (file,))
    assert str(caught.value).startswith(f"{file}: ")


def test_an_image_of_two_files_is_refused(tmp_path):
    coco_folder.fill(tmp_path)
    coco_folder.fill(tmp_path, name="again.json")
    with pytest.raises(UserError, match=r"instances.json: images: '00.png' is listed twice"):
        coco.load(tmp_path, (tmp_path / "again.json", tmp_path / "instances.json"))


def test_what_is_no_json_is_said(tmp_path):
    write(tmp_path / "1.png", encode(photo(1)))
    write(tmp_path / "mine.json", b"{")
    with pytest.raises(UserError, match=r"mine.json: cannot be read as JSON"):
        coco.load(tmp_path, (tmp_path / "mine.json",))
