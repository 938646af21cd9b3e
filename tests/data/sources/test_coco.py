"""COCO's JSON as people write it, and each mistake in it by its file and key."""

from __future__ import annotations

import json

import numpy as np
import pycocotools.mask
import pytest

from data.errors import UserError
from data.objects import Runs
from data.sources import coco, imagefolder
from data.sources.listing import scan
from tests import coco_folder
from tests.photo_folder import encode, photo, write


def there(folder):
    return imagefolder.file_names(folder, scan(folder))


def find(folder):
    return coco.find(folder, there(folder))


def load(folder, *files):
    return coco.load(folder, files, there(folder))


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


def test_ids_may_be_texts(tmp_path):
    """Of numbers, in some places or in all, or of anything else; each is told from the others."""
    coco_folder.fill(tmp_path / "numbers")
    wanted = load(tmp_path / "numbers", tmp_path / "numbers/instances.json")
    for name, spelled in (("decimal", str), ("words", "img-{:03d}".format), ("some", str)):
        values = coco_folder.described()
        for image in values["images"] if name != "some" else ():
            image["id"] = spelled(image["id"])
        for category in values["categories"]:
            category["id"] = str(category["id"])
        for annotation in values["annotations"]:
            annotation["image_id"] = spelled(annotation["image_id"])
        folder = tmp_path / name
        coco_folder.fill(folder, values)
        found = load(folder, folder / "instances.json")
        assert {path: [one.category for one in image.objects] for path, image in found.items()} == {
            path: [one.category for one in image.objects] for path, image in wanted.items()
        }
        assert coco.categories((folder / "instances.json",)) == ["ant", "zebra"]
    values["images"][1]["id"] = str(values["images"][0]["id"])
    coco_folder.fill(tmp_path / "twice", values)
    with pytest.raises(UserError, match=r"images.1: id: .* is another image's too"):
        load(tmp_path / "twice", tmp_path / "twice/instances.json")


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
    files = tuple(find(tmp_path))
    assert [file.parent.name for file in files] == ["train", "valid"]
    found = imagefolder.load(tmp_path, scan(tmp_path, files), files)
    assert {(one.id.split("/")[0], one.split) for one in found} == {
        ("train", "train"),
        ("valid", "validation"),
    }
    assert all(one.path.is_file() for one in found) and len(found) == 48


def test_found_in_the_folder_else_beside_it(tmp_path):
    photos = tmp_path / "photos"
    write(photos / "01.png", encode(photo(1)))
    write(photos / "settings.json", b'{"images": 3}')
    write(photos / "broken.json", b"{")
    assert find(photos) == []
    write(tmp_path / "all.json", json.dumps(coco_folder.described()).encode())
    assert find(photos) == [tmp_path / "all.json"]
    write(photos / "annotations/mine.json", json.dumps(coco_folder.described()).encode())
    assert find(photos) == [photos / "annotations/mine.json"]


def put(values, key, index, **changes):
    values[key][index] |= changes


def drop(values, key, index, name):
    del values[key][index][name]


def only(folder, file):
    """Return what the JSON says of its only image."""
    ((path, listed),) = load(folder, file).items()
    return path, listed


def write_one(file, name="1.png", picture=None, **annotation):
    """Write a JSON of one image and one annotation."""
    values = {
        "images": [{"id": 1, "file_name": name, "width": 4, "height": 3, **(picture or {})}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], **annotation}],
        "categories": [{"id": 1, "name": "ant"}],
    }
    write(file, json.dumps(values).encode())


@pytest.mark.parametrize("empty", [[], [[]], [[], []], None])
def test_an_outline_without_points_is_none(tmp_path, empty):
    write(tmp_path / "1.png", b"x")
    write_one(tmp_path / "a.json", segmentation=empty)
    assert only(tmp_path, tmp_path / "a.json")[1].objects[0].mask is None


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ({"width": 0, "height": 0}, None),
        ({"width": None, "height": None}, None),
        ({"width": 640, "height": None}, None),
        ({"width": 640.0, "height": 480}, (640, 480)),
    ],
)
def test_a_size_of_nothing_is_not_known(tmp_path, sides, size):
    write(tmp_path / "1.png", b"x")
    write_one(tmp_path / "a.json", picture=sides)
    assert only(tmp_path, tmp_path / "a.json")[1].size == size


@pytest.mark.parametrize("side", [-1, 1.5, "640", [640]])
def test_a_size_that_cannot_be_is_named(tmp_path, side):
    write(tmp_path / "1.png", b"x")
    write_one(tmp_path / "a.json", picture={"width": side})
    with pytest.raises(UserError, match=r"a.json: images.0: width: must be a whole number of pixels"):
        load(tmp_path, tmp_path / "a.json")


def test_compressed_run_lengths_are_read(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 2, (60, 90)) * (np.arange(90) > 40)
    encoded = pycocotools.mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    write(tmp_path / "1.png", b"x")
    write_one(
        tmp_path / "a.json", segmentation={"counts": encoded["counts"].decode(), "size": encoded["size"]}
    )
    expected = Runs(tuple(coco_folder.runs(pixels.astype(bool))), height=60, width=90)
    assert only(tmp_path, tmp_path / "a.json")[1].objects[0].mask == expected


@pytest.mark.parametrize(
    ("json_at", "name", "found"),
    [
        ("annotations/instances_train.json", "1.png", "images/1.png"),  # COCO, CVAT, Supervisely
        ("labels.json", "1.png", "data/1.png"),  # FiftyOne
        ("result.json", r"images\1.png", "images/1.png"),  # Label Studio on Windows
        ("annotations/instances_default.json", "1.png", "images/default/1.png"),  # CVAT
        ("annotations/instances_train2017.json", "1.png", "train2017/1.png"),
        ("a.json", "A%20photo.PNG", "a photo.png"),
        ("a.json", "a photo.png", "A%20photo.png"),
        ("a.json", "cafe\u0301.png", "caf\u00e9.png"),
        ("a.json", r"CAM1\7.jpg", "cam1/7.JPG"),
    ],
)
def test_a_file_is_found_where_and_as_exports_have_it(tmp_path, json_at, name, found):
    write(tmp_path / found, b"x")
    write_one(tmp_path / json_at, name)
    assert only(tmp_path, tmp_path / json_at)[0] == found


def test_the_very_name_comes_first(tmp_path):
    for name in ("a.png", "A.png", "a%20b.png", "a b.png"):
        write(tmp_path / name, b"x")
        write_one(tmp_path / "a.json", name)
        assert only(tmp_path, tmp_path / "a.json")[0] == name


@pytest.mark.parametrize(
    ("there", "json_at", "name"),
    [
        (["a.png", "A.PNG"], "a.json", "A.png"),
        (["x/1.png", "y/1.png"], "a.json", "1.png"),
        (["train/x/1.png", "train/y/1.png", "val/1.png"], "instances_train.json", "1.png"),
    ],
)
def test_a_name_that_may_mean_two_files_is_refused(tmp_path, there, json_at, name):
    for path in there:
        write(tmp_path / path, b"x")
    write_one(tmp_path / json_at, name)
    with pytest.raises(UserError, match=rf"images.0: file_name: {name!r} is no file, and may mean '.*' or '"):
        load(tmp_path, tmp_path / json_at)


def test_no_file_of_another_split_is_taken(tmp_path):
    write(tmp_path / "val/1.png", b"x")
    write_one(tmp_path / "annotations/instances_train.json", "1.png")
    with pytest.raises(UserError, match=r"images: none of its 1 files is in .* The nearest is 'val/1.png'"):
        load(tmp_path, tmp_path / "annotations/instances_train.json")
    write(tmp_path / "train/1.png", b"x")
    assert only(tmp_path, tmp_path / "annotations/instances_train.json")[0] == "train/1.png"


def test_files_of_several_splits_give_the_splits(tmp_path):
    for split, name in (("train", "1.png"), ("val", "2.png")):
        write(tmp_path / "images" / name, b"x")
        write_one(tmp_path / f"annotations/instances_{split}2017.json", name)
        write_one(tmp_path / f"annotations/person_keypoints_{split}2017.json", name)
    for folder in (tmp_path, tmp_path / "images"):
        files = tuple(find(folder))
        assert [file.stem for file in files] == ["instances_train2017", "instances_val2017"]
        found = imagefolder.load(folder, scan(folder, files), files)
        assert [(one.path.name, one.split) for one in found] == [
            ("1.png", "train"),
            ("2.png", "validation"),
        ]
    (alone,) = imagefolder.load(tmp_path, scan(tmp_path, files[:1]), files[:1])
    assert alone.split == ""


def test_a_folder_and_a_file_of_different_splits_are_told(tmp_path):
    files = []
    for split, name in (("train", "val/1.png"), ("val", "train/1.png")):
        write(tmp_path / name, b"x")
        files.append(tmp_path / f"instances_{split}.json")
        write_one(files[-1], name)
    with pytest.raises(UserError, match=r"1.png: is in train by its folder, and in validation by the JSON"):
        imagefolder.load(tmp_path, scan(tmp_path, files), tuple(files))


def test_a_file_beside_the_folder_that_tells_of_none_of_its_images_is_not_found(tmp_path):
    write(tmp_path / "photos/1.png", b"x")
    write_one(tmp_path / "of_others.json", "2.png")
    assert find(tmp_path / "photos") == []
    write_one(tmp_path / "annotations/MINE.JSON", "1.png")
    assert find(tmp_path / "photos") == [tmp_path / "annotations/MINE.JSON"]


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    write(tmp_path / "1.png", b"x")
    write_one(tmp_path / "a.json")
    write(tmp_path / "a.json", b"\xef\xbb\xbf" + (tmp_path / "a.json").read_bytes())
    assert find(tmp_path) == [tmp_path / "a.json"] and only(tmp_path, tmp_path / "a.json")[0] == "1.png"


def test_a_name_of_two_categories_is_one_where_annotations_use_one_of_them(tmp_path):
    write(tmp_path / "1.png", b"x")
    write_one(tmp_path / "a.json")
    values = json.loads((tmp_path / "a.json").read_text())
    values["categories"].insert(0, {"id": 0, "name": "ant", "supercategory": "none"})  # Roboflow
    write(tmp_path / "a.json", json.dumps(values).encode())
    assert only(tmp_path, tmp_path / "a.json")[1].objects[0].category == "ant"
    values["annotations"].append({**values["annotations"][0], "category_id": 0})
    write(tmp_path / "a.json", json.dumps(values).encode())
    with pytest.raises(
        UserError, match=r"categories.1: its id 1 or its name 'ant' is another category's too"
    ):
        load(tmp_path, tmp_path / "a.json")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda v: put(v, "annotations", 2, iscrowd="1"),
            r"annotations.2 .*iscrowd: must be 0 or 1 \(got '1'\)",
        ),
        (lambda v: put(v, "categories", 1, name=" "), r"categories.1: name: is empty"),
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
        (
            lambda v: drop(v, "images", 3, "id"),
            r"images.3: id: must be a whole number or a text \(got None\)",
        ),
        (lambda v: put(v, "categories", 1, id=7), r"categories.1: its id 7 or its name 'ant' is another"),
        (
            lambda v: put(v, "annotations", 2, image_id=99),
            r"annotations.2 \(id 102\): image_id: 99 is no id of 'im",
        ),
        (
            lambda v: put(v, "annotations", 2, category_id=1),
            r"annotations.2 \(id 102\): category_id: 1 is no id of 'categories': 3 ant, 7 zebra",
        ),
        (lambda v: put(v, "annotations", 2, bbox=[1, 2, 3, 10**400]), r"bbox: needs four numbers"),
        (
            lambda v: put(v, "categories", 1, name="\ud800"),
            r"categories.1: name: '.ud800' has a character that no",
        ),
        (
            lambda v: put(v, "images", 3, file_name="a\0"),
            r"images.3: file_name: 'a.x00' has a character that no",
        ),
        (lambda v: v["images"].clear() or v["annotations"].clear(), r"instances.json: images: lists none"),
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
            r"segmentation.counts: ends in the middle of a number",
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
        load(tmp_path, file)
    assert str(caught.value).startswith(f"{file}: ")


def test_an_image_of_two_files_is_refused(tmp_path):
    coco_folder.fill(tmp_path)
    coco_folder.fill(tmp_path, name="again.json")
    with pytest.raises(UserError, match=r"instances.json: images: '00.png' is listed twice"):
        load(tmp_path, tmp_path / "again.json", tmp_path / "instances.json")


def test_what_is_no_json_is_said(tmp_path):
    write(tmp_path / "1.png", encode(photo(1)))
    for text in (b"{", b"[" * 100_000):
        write(tmp_path / "mine.json", text)
        with pytest.raises(UserError, match=r"mine.json: cannot be read as JSON"):
            load(tmp_path, tmp_path / "mine.json")
