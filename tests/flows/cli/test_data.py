import json
from functools import partial
from pathlib import Path

import pytest
import yaml

from components.datasets.listing import refresh
from data.errors import UserError
from flows.cli.data import app
from tests.flows.cli import command
from tests.photo_folder import darkroom_data, digest, encode, fill, photo, project, write


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a project with the data set ``mine``, its suite inferred."""
    folder = tmp_path_factory.mktemp("commands")
    fill(folder / "photos")
    root = project(folder / "project")
    (root / "params.yaml").write_text("# kept\ndatasets: {}  # this too\nmodels: {}\n")
    darkroom_data(root, "add", str(folder / "photos"), "--name", "mine", "--split", "test=0.2")
    darkroom_data(root, "infer", "mine")
    return root


def test_add_writes_the_data_set_and_names_it(root):
    settings = yaml.safe_load((root / "data/mine/dataset.yaml").read_text())
    assert settings["folder"] == str(root.parent / "photos") and settings["splits"] == {
        "by": "class",
        "validation": 0.15,
        "test": 0.2,
    }
    assert settings["image"] == {"height": 64, "width": 64, "channels": 3, "levels": 256}
    text = (root / "params.yaml").read_text()
    assert (
        yaml.safe_load(text)["datasets"] == {"mine": "data/mine/dataset.yaml"}
        and "# kept" in text
        and "# this too" in text
    )


def test_add_again_keeps_what_was_edited(root):
    path = root / "data/mine/dataset.yaml"
    path.write_text(path.read_text().replace("height: 64", "height: 48") + "# mine\n")
    said = darkroom_data(root, "add", str(root.parent / "photos"), "--name", "mine", "--json").stdout
    assert json.loads(said) == {
        "name": "mine",
        "examples": 24,
        "classes": {"cat": 12, "dog": 12},
        "splits": {"": 24},
        "notes": [],
        "left_out": {},
    }
    assert (
        "height: 48" in path.read_text() and "# mine" in path.read_text() and "test: 0.2" in path.read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--name", "Mine"], "--name 'Mine'"),
        (["--name", "sources"], "data/sources"),
        (["--name", "x", "--split", "tset=0.1"], "Did you mean 'test'"),
        (["--name", "x", "--split", "test=many"], "'many' is no number"),
        (["--name", "x", "--split", "test=1.5"], "splits.test"),
    ],
)
def test_mistakes_of_add_write_nothing(root, arguments, says):
    (root / "data/sources").mkdir(exist_ok=True)
    before = digest(root)
    assert says in darkroom_data(root, "add", str(root.parent / "photos"), *arguments, expect=2).stderr
    assert digest(root) == before


def test_infer_does_not_overwrite_an_edited_suite(root):
    assert "darkroom data accept mine" in darkroom_data(root, "infer", "mine", expect=2).stderr


def test_check_of_any_folder_and_accept(root, tmp_path):
    fill(tmp_path / "other", per_class=3)
    assert json.loads(darkroom_data(root, "check", str(tmp_path / "other"), "--json").stdout)["success"]
    write(tmp_path / "other/cat/broken.png", b"")
    before = digest(tmp_path / "other")
    said = darkroom_data(root, "check", str(tmp_path / "other"), expect=2).stderr
    assert "cat/broken.png (the file is empty)" in said and digest(tmp_path / "other") == before


def test_accept_renews_the_reference_and_keeps_comments(root):
    path = root / "data/mine/suite.yaml"
    path.write_text(path.read_text().replace("general:", "# by hand\ngeneral:"))
    before = yaml.safe_load(path.read_text())
    extra = root.parent / "photos/cat/extra.png"
    write(extra, encode(photo(77)))
    try:
        darkroom_data(root, "accept", "mine")
    finally:
        extra.unlink()
    after = yaml.safe_load(path.read_text())
    assert after["reference"]["examples"] == 25 and "# by hand" in path.read_text()
    assert "which drift is measured against" in path.read_text()
    assert {**after, "reference": None} == {**before, "reference": None}


def test_a_misspelt_data_set_is_named(root):
    assert "Did you mean 'mine'" in darkroom_data(root, "check", "mini", expect=2).stderr


def test_refresh_lists_the_folder_again_before_a_run(root, monkeypatch):
    monkeypatch.chdir(root)
    refresh("mine")
    assert refresh("mine") is None
    added = root.parent / "photos/dog/new.png"
    write(added, encode(photo(78)))
    assert refresh("mine").added == ("dog/new.png",) and refresh("mine") is None
    added.unlink()
    assert str(refresh("mine")) == "1 removed (first: dog/new.png)"


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """Return a folder of class folders and of files that are not read, with COCO's JSON beside it."""
    fill(tmp_path / "photos", per_class=3)
    for name in ("1.heif", "cat/2.HEIF", "photo"):
        write(tmp_path / "photos" / name, b"x")
    names = ("00.png", "01.jpg", "02.webp")
    values = {
        "images": [{"id": id, "file_name": f"cat/{name}"} for id, name in enumerate(names)],
        "annotations": [
            {"id": id, "image_id": id, "category_id": 1, "bbox": [1, 1, 9, 9]} for id in range(3)
        ],
        "categories": [{"id": 1, "name": "ear"}],
    }
    write(tmp_path / "annotations/all.json", json.dumps(values).encode())
    monkeypatch.chdir(project(tmp_path / "project"))
    return tmp_path / "photos"


data = partial(command.call, app)


def test_what_was_found_and_what_is_left_out_is_told_and_refusable(beside):
    taken = f"objects: {beside.parent}/annotations/all.json, found beside the folder; --no-coco leaves"
    unlisted = (
        "6 left out: 2 .heif, 1 .jpg that nothing lists, 1 .png that nothing lists, 1 .webp that nothing"
    )
    said = data("add", beside, "--name", "boxes")
    assert "classes: ear 3" in said and taken in said and unlisted in said
    said = data("check", beside)
    assert taken in said and unlisted in said
    said = data("add", beside, "--name", "classes", "--no-coco")
    assert "classes: cat 3, dog 3" in said and "all.json" not in said
    assert "  3 left out: 2 .heif, 1 without an ending\n" in said
    assert "  3 left out: 2 .heif, 1 without an ending\n" in data("add", beside, "--name", "classes")
    said = data("check", beside, "--no-coco")
    assert f"{beside}: 3 left out: 2 .heif, 1 without an ending\n" in said and "all.json" not in said
    assert json.loads(data("check", beside, "--no-coco", "--json"))["left_out"] == {
        ".heif": 2,
        "without an ending": 1,
    }


def test_no_coco_contradicts_a_json(beside):
    data("add", beside, "--name", "boxes")
    with pytest.raises(
        UserError, match=r"objects.coco: it was added with COCO's JSON. Choose another --name"
    ):
        data("add", beside, "--name", "boxes", "--no-coco")
    with pytest.raises(UserError, match=r"--coco names what --no-coco leaves out"):
        data("add", beside, "--name", "x", "--no-coco", "--coco", beside.parent / "annotations/all.json")
    with pytest.raises(UserError, match=r"--no-coco: is for folders; data/boxes/dataset.yaml says"):
        data("check", "boxes", "--no-coco")


def test_masks_that_are_not_kept_are_told(beside):
    file = beside.parent / "annotations/all.json"
    values = json.loads(file.read_text())
    for one in values["annotations"][:2]:
        one["segmentation"] = [[1, 1, 9, 1, 9, 9]]
    values["annotations"][2]["segmentation"] = [[]]
    file.write_text(json.dumps(values))
    said = data("add", beside, "--name", "boxes", "--coco", file)
    assert "masks: not kept: 1 of 3 objects have no segmentation, first" in said
    assert f"{file}: annotations.2 (id 2)\n" in said and "--no-coco" not in said
    assert yaml.safe_load(Path("data/boxes/dataset.yaml").read_text())["objects"]["masks"] is False


def test_a_folder_is_meant_from_where_the_command_was_called(beside, monkeypatch):
    monkeypatch.setattr("flows.workspace.project.CALLED_FROM", beside / "cat")
    assert "found beside the folder" in data("check", "..")


def test_a_folder_without_an_image_says_what_is_there(beside):
    for file in beside.rglob("0*"):
        file.unlink()
    with pytest.raises(UserError, match=r"no image in it.* 3 left out: 2 .heif, 1 without an ending\."):
        data("add", beside, "--name", "x")
