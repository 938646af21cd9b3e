"""A user's own objects, from `darkroom data add` to tensors, as the user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from components import ingest, validate
from components.datasets import annotations, manifest
from components.validation.infer import infer
from components.validation.suite import Suite
from data import spec
from data.errors import UserError
from data.prepared import NO_OBJECT, SPLITS, UNCOUNTED, PreparedData
from tests import coco_folder
from tests.coco_folder import HEIGHT, WIDTH
from tests.photo_folder import command, darkroom_data, digest, encode, photo, project, write

STAGES = ("ingest", "validate", "prepare")


def run(root: Path, *stages: str, expect: int = 0) -> str:
    said = ""
    for stage in stages:
        said = command(root, "-m", f"components.{stage}", "mine", expect=expect).stderr
    return said


def add(photos: Path, root: Path, *more: str, expect: int = 0) -> str:
    done = darkroom_data(root, "add", str(photos), "--name", "mine", *more, expect=expect)
    return done.stderr if expect else done.stdout


def by_id(data: PreparedData, tensor: str) -> dict[str, np.ndarray]:
    """Return a tensor's part of each example of all splits."""
    parts = [getattr(data, split) for split in SPLITS]
    return {id: values for part in parts for id, values in zip(part.ids, getattr(part, tensor), strict=True)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Photos of 50 x 40 pixels with COCO's JSON, brought to 20 x 20."""
    folder = tmp_path_factory.mktemp("coco")
    coco_folder.fill(folder / "mine")
    root = project(folder / "project")
    before = digest(folder / "mine")
    assert "classes: (none) 1, ant 23, zebra 16" in add(folder / "mine", root, "--image-size", "20")
    darkroom_data(root, "infer", "mine")
    run(root, *STAGES)
    assert digest(folder / "mine") == before
    return folder / "mine", root


def test_what_was_found_is_in_the_data_set_s_file(sound):
    photos, root = sound
    settings = yaml.safe_load((root / "data/mine/dataset.yaml").read_text())
    assert settings["objects"] == {"masks": True, "coco": [str(photos / "instances.json")]}
    assert settings["classes"] == ["ant", "zebra"]
    own = yaml.safe_load((root / "data/mine/suite.yaml").read_text())["expectations"]
    assert own[0] == {
        "type": "expect_column_values_to_be_in_set",
        "table": "objects",
        "column": "category",
        "value_set": ["ant", "zebra"],
    }


def test_boxes_are_shares_of_the_original_s_sides(sound):
    _, root = sound
    data = PreparedData(root / "artifacts/data/mine/prepared")
    assert (data.spec.task, data.spec.max_objects, data.spec.has_masks) == ("detection", 2, True)
    seen = 0
    for part in (getattr(data, split) for split in SPLITS):
        assert (part.labels == NO_OBJECT).all()
        for id, boxes, labels in zip(part.ids, part.boxes, part.box_labels, strict=True):
            number = int(id[:2])
            wanted = [] if number == 23 else [0, 1] if number % 3 else [0]
            assert labels.tolist() == (wanted + [NO_OBJECT] * 2)[:2]
            ant, zebra = ([4, 5, 24, 15], [14, 10, 39, 30])
            for box, pixels, there in zip(boxes, (ant, zebra), labels != NO_OBJECT, strict=True):
                shares = np.array(pixels) / [WIDTH, HEIGHT, WIDTH, HEIGHT] * there
                np.testing.assert_allclose(box, shares, rtol=1e-6)
            seen += 1
    assert seen == coco_folder.COUNT


def test_masks_show_what_is_visible_and_crowds_are_not_counted(sound):
    _, root = sound
    data = PreparedData(root / "artifacts/data/mine/prepared")
    for part in (getattr(data, split) for split in SPLITS):
        for id, mask in zip(part.ids, part.masks, strict=True):
            number = int(id[:2])
            assert (mask == UNCOUNTED).any() == (number == 0)
            # Of 50 x 40 pixels each of 20 x 20 is 2.5 x 2: the ant covers 8 x 5, the zebra 10 x 10, 4 x 2.5 of the ant.
            assert abs((mask == 2).sum() - 100 * bool(number % 3 and number != 23)) <= 10
            assert abs((mask == 1).sum() - (0 if number == 23 else 30 if number % 3 else 40)) <= 6
            if number % 3 and number != 23:
                assert mask[6, 7] == 2 and mask[4, 3] == 1 and mask[0, 0] == 0


def test_the_same_folder_gives_the_same_bytes(sound):
    _, root = sound
    folder = root / "artifacts/data/mine/ingest"
    before = {name: content for name, (content, _, _) in digest(folder).items()}
    assert manifest.read(folder)["mask_row"].notna().all()
    run(root, "ingest")
    assert {name: content for name, (content, _, _) in digest(folder).items()} == before


def test_a_changed_annotation_file_is_noticed(sound, tmp_path):
    _, root = sound
    coco_folder.fill(tmp_path / "mine")
    root = project(tmp_path / "project")
    add(tmp_path / "mine", root)
    coco_folder.fill(tmp_path / "mine", coco_folder.described() | {"info": {}})
    assert "1 changed (first: " not in (said := run(root, "ingest", expect=2)) or "instances.json" in said
    assert "is not as it was when it was added" in said


def put_faults(photos: Path) -> None:
    values = coco_folder.described()
    boxes = {
        2: [45, 5, 20, 10],  # reaches beyond the border
        5: [60, 5, 20, 10],  # lies beyond it
        8: [4, 5, 0, 10],
    }
    for number, box in boxes.items():
        values["annotations"][number]["bbox"] = box
    del values["annotations"][11]["segmentation"]
    values["images"][20] |= {"width": 40, "height": 50}
    coco_folder.fill(photos, values)
    (photos / "22.png").unlink()


@pytest.fixture(scope="module")
def faulty(sound, tmp_path_factory) -> tuple[str, dict]:
    """Return what validate says of a folder of faults, and the annotations by their place in the file."""
    folder = tmp_path_factory.mktemp("faulty")
    put_faults(folder / "mine")
    root = project(folder / "project")
    write(root / "data/mine/suite.yaml", (sound[1] / "data/mine/suite.yaml").read_bytes())
    text = (sound[1] / "data/mine/dataset.yaml").read_text()
    write(root / "data/mine/dataset.yaml", text.replace(str(sound[0]), str(folder / "mine")).encode())
    add(folder / "mine", root)
    run(root, "ingest")
    return run(root, "validate", expect=2), coco_folder.described()["annotations"]


@pytest.mark.parametrize(
    ("says", "number", "told"),
    [
        ("no box reaches beyond the border", 2, r"#1 \(15\)"),
        (
            "every object lies in its picture",
            5,
            r"\(id 105\): bbox \[60.0, 5.0, 20.0, 10.0\] lies outside the pic",
        ),
        ("every object lies in its picture", 8, r"\(id 108\): bbox \[4.0, 5.0, 0.0, 10.0\] has no area"),
        ("every object lies in its picture", 11, r"\(id 111\): has no segmentation"),
    ],
)
def test_a_fault_is_named_with_its_image_file_and_key(faulty, says, number, told):
    said, annotations = faulty
    image = f"{annotations[number]['image_id']:02d}.png"
    paragraphs = [part for part in re.split(r"\n  (?! )", said) if says in part]
    assert paragraphs and re.search(rf"{image}.*{told}", paragraphs[0]), said


def test_an_image_of_another_size_and_a_missing_one_are_named(faulty):
    said, _ = faulty
    assert "20.png (is 50 x 40 pixels, and was annotated as 40 x 50)" in said
    assert "22.png (cannot be read: No such file or directory; the nearest name is '" in said


def test_boxes_beyond_the_border_are_clipped_where_they_are_allowed(sound, tmp_path):
    values = coco_folder.described()
    values["annotations"][0] |= {
        "bbox": [40, 30, 30, 30],
        "segmentation": [coco_folder.rectangle(40, 30, 30, 30)],
    }
    coco_folder.fill(tmp_path / "mine", values)
    root = project(tmp_path / "project")
    add(tmp_path / "mine", root)
    darkroom_data(root, "infer", "mine")
    path = root / "data/mine/suite.yaml"
    path.write_text(path.read_text().replace("boxes_beyond_border: 0", "boxes_beyond_border: 1"))
    run(root, *STAGES)
    data = PreparedData(root / "artifacts/data/mine/prepared")
    box = by_id(data, "boxes")["00.png"][0]
    np.testing.assert_allclose(box, [0.8, 0.75, 1, 1])


def test_several_files_have_to_be_named(tmp_path):
    root = project(tmp_path / "project")
    for part in "abc":
        coco_folder.fill(tmp_path / "mine" / part, name="_annotations.coco.json")
    said = add(tmp_path / "mine", root, expect=2)
    assert "3 files of COCO's kind" in said and "--coco" in said and "--no-coco" in said
    named = [word for part in "abc" for word in ("--coco", f"{tmp_path}/mine/{part}/_annotations.coco.json")]
    assert "mine: 72 images" in add(tmp_path / "mine", root, *named)
    add(tmp_path / "mine", root)  # they are remembered
    settings = yaml.safe_load((root / "data/mine/dataset.yaml").read_text())
    assert len(settings["objects"]["coco"]) == 3
    assert "no such file" in add(tmp_path / "mine", root, "--coco", str(tmp_path / "none.json"), expect=2)


def test_crowds_alone_are_nothing_to_learn(tmp_path):
    values = coco_folder.described()
    for one in values["annotations"]:
        one["iscrowd"] = 1
    coco_folder.fill(tmp_path / "mine", values)
    settings = spec.DatasetSpec(
        source="imagefolder",
        folder=tmp_path / "mine",
        image=spec.ImageSpec(height=20, width=20, channels=3),
        objects=annotations.look(tmp_path / "mine"),
    )
    (tmp_path / "ingest").mkdir()
    ingest.write("mine", settings, tmp_path / "ingest")
    rows = manifest.read(tmp_path / "ingest")
    with pytest.raises(UserError, match=r"no example has objects other than crowds \(iscrowd\)"):
        infer("mine", rows, settings.splits, tmp_path / "suite.yaml")
    said = validate.explain("mine", validate.check("mine", rows, Suite(), settings.splits, docs=None))
    assert "from crowds alone, or no objects, nothing is learned" in said
    assert "every class has at least 1 in train" in said and "broken by 2: ant (0), zebra (0)" in said


def metadata(folder: Path, objects=None, count: int = 12) -> None:
    """Write photos and a ``metadata.jsonl``; ``objects`` replaces those of single lines."""
    lines = []
    for image in range(count):
        write(folder / f"{image:02d}.png", encode(photo(300 + image, HEIGHT, WIDTH)))
        told = {"bbox": [[4, 5, 20, 10], [0, 0, 10, 10]][: image % 3], "categories": [10, 2][: image % 3]}
        lines.append({"file_name": f"{image:02d}.png", "objects": (objects or {}).get(image, told)})
        if lines[-1]["objects"] is None:
            del lines[-1]["objects"]
    write(folder / "metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())


def test_metadata_with_objects(tmp_path):
    metadata(tmp_path / "mine", count=24)
    root = project(tmp_path / "project")
    darkroom_data(root, "check", str(tmp_path / "mine"))
    add(tmp_path / "mine", root)
    darkroom_data(root, "infer", "mine")
    run(root, *STAGES)
    data = PreparedData(root / "artifacts/data/mine/prepared")
    assert data.spec.classes == ("2", "10") and not data.spec.has_masks and data.train.masks is None
    rows = manifest.read(root / "artifacts/data/mine/ingest")
    assert rows["objects"].tolist() == [image % 3 for image in range(24)]
    held = by_id(data, "box_labels")
    assert held["05.png"].tolist() == [1, 0] and held["03.png"].tolist() == [-1, -1]


def test_a_line_without_objects_is_named(tmp_path):
    metadata(tmp_path / "mine", {4: None})
    said = darkroom_data(project(tmp_path / "project"), "check", str(tmp_path / "mine"), expect=2).stderr
    assert "04.png (nothing says which objects are in it)" in said


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ({"bbox": [[1, 2, 3]], "categories": [1]}, r"metadata.jsonl:5: objects.bbox.0: needs four numbers"),
        ({"bbox": [[1, 2, 3, 4]], "categories": []}, r"metadata.jsonl:5: objects: 1 in 'bbox' and 0 in 'cat"),
        ({"bbox": [], "categorys": []}, r"metadata.jsonl:5: objects: needs lists .*, and has 'categorys'"),
        ({"bbox": [[1, 2, 3, 4]], "categories": [1.5]}, r"objects.categories.0: 1.5 is no name and no whole"),
        ([], r"metadata.jsonl:5: objects: needs lists"),
    ],
)
def test_a_mistake_in_metadata_is_named(tmp_path, objects, told):
    metadata(tmp_path / "mine", {4: objects})
    said = add(tmp_path / "mine", project(tmp_path / "project"), expect=2)
    assert re.search(told, said), said


def test_a_data_set_without_objects_gets_none_later(tmp_path):
    photos, root = tmp_path / "mine", project(tmp_path / "project")
    for index in range(3):
        write(photos / f"cat/{index}.png", encode(photo(index)))
    add(photos, root)
    write(tmp_path / "instances.json", json.dumps(coco_folder.described()).encode())
    assert "classes: cat 3" in add(photos, root)
    said = add(photos, root, "--coco", str(tmp_path / "instances.json"), expect=2)
    assert "objects: is missing" in said and "another --name" in said


def test_objects_that_dataset_yaml_does_not_know_of(tmp_path):
    metadata(tmp_path / "mine")
    root = project(tmp_path / "project")
    add(tmp_path / "mine", root)
    path = root / "data/mine/dataset.yaml"
    values = yaml.safe_load(path.read_text())
    del values["objects"]
    path.write_text(yaml.safe_dump(values))
    assert "Add to it: objects: {masks: false}" in run(root, "ingest", expect=2)
