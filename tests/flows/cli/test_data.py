import json

import pytest
import yaml

from components.datasets.listing import refresh
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
        "found": "",
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
