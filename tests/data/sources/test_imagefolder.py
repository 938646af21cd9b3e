import json

import pytest

from data.errors import UserError
from data.sources import imagefolder
from data.sources.listing import scan
from tests.photo_folder import write


def load(folder, *names, metadata=None, captions=False):
    for name in names:
        write(folder / name, b"x")
    for place, lines in (metadata or {}).items():
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        write(folder / place / "metadata.jsonl", text.encode())
    found = imagefolder.load(folder, scan(folder), captions=captions)
    return {file.id: (file.split, file.label) for file in found}


def test_class_folders(tmp_path):
    assert load(tmp_path, "cat/1.png", "dog/1.jpg") == {"cat/1.png": ("", "cat"), "dog/1.jpg": ("", "dog")}


def test_split_folders(tmp_path):
    found = load(tmp_path, "train/cat/1.png", "val/cat/1.png", "Test/dog/1.png")
    assert found == {
        "train/cat/1.png": ("train", "cat"),
        "val/cat/1.png": ("validation", "cat"),
        "Test/dog/1.png": ("test", "dog"),
    }


def test_metadata(tmp_path):
    lines = [
        {"file_name": "1.png", "label": 7},
        {"file_name": "x/2.png", "label": None},
        {"file_name": "gone.png"},
        "",
    ]
    assert load(tmp_path, "1.png", "x/2.png", "x/unlisted.png", metadata={".": lines}) == {
        "1.png": ("", "7"),
        "x/2.png": ("", None),
        "x/unlisted.png": ("", None),
        "gone.png": ("", None),
    }


def test_metadata_in_each_split(tmp_path):
    metadata = {
        "train": [{"file_name": "1.png", "label": "cat"}],
        "test": [{"file_name": "1.png", "label": "dog"}],
    }
    found = load(tmp_path, "train/1.png", "test/1.png", metadata=metadata)
    assert found == {"train/1.png": ("train", "cat"), "test/1.png": ("test", "dog")}


def test_a_class_may_be_called_train(tmp_path):
    assert load(tmp_path, "train/1.png", "plane/1.png")["train/1.png"] == ("", "train")


def test_images_without_a_class_folder_have_no_label(tmp_path):
    assert load(tmp_path, "1.png", "cat/2.png")["1.png"] == ("", None)


@pytest.mark.parametrize(
    ("names", "metadata", "says"),
    [
        (["notes.txt"], {}, "no image in it"),
        (
            ["train/cat/1.png", "tset/cat/1.png"],
            {},
            "'tset' lies beside the split 'train'.*Did you mean 'test'",
        ),
        (["1.png"], {".": ["{nonsense"]}, "metadata.jsonl:1: not a line of JSON"),
        (["1.png"], {".": [{"filename": "1.png"}]}, "needs a 'file_name', and has 'filename'"),
        (["1.png"], {".": [{"file_name": "1.png", "labell": 3}]}, "needs a 'label', and has 'labell'"),
        (["1.png"], {".": [{"file_name": "../1.png"}]}, "leads out of the folder"),
        (["1.png"], {".": ["[]"]}, "needs a 'file_name'"),
        (
            ["1.png"],
            {".": [{"file_name": "1.png", "input_filename": "2.png"}]},
            "needs an 'input_file_name', and has",
        ),
        (
            ["1.png"],
            {".": [{"file_name": "1.png", "input_file_name": "../2.png"}]},
            "input_file_name.*leads out",
        ),
        (["1.png"], {".": [{"file_name": "1.png", "input_file_name": 2}]}, "input_file_name 2 is no name"),
        (["1.png"], {".": [{"file_name": "1.png", "text": 305}]}, "text 305 is no text: write it in quotes"),
    ],
)
def test_mistakes_are_named(tmp_path, names, metadata, says):
    with pytest.raises(UserError, match=says):
        load(tmp_path, *names, metadata=metadata)


def test_an_input_is_no_example_of_its_own(tmp_path):
    lines = [
        {"file_name": "a.png", "input_file_name": "b.png"},
        {"file_name": "c.png", "input_file_name": "a.png"},
    ]
    found = load(tmp_path, "a.png", "b.png", "c.png", "lost.png", metadata={".": lines})
    assert found == {"a.png": ("", "all"), "c.png": ("", "all"), "lost.png": ("", None)}


def test_images_with_captions_are_of_their_folder_s_class_or_of_the_label(tmp_path):
    lines = [{"file_name": "cat/1.png", "text": "a cat"}, {"file_name": "2.png", "text": "odd"}]
    found = load(tmp_path, "train/cat/1.png", "train/2.png", metadata={"train": lines}, captions=True)
    assert found == {"train/cat/1.png": ("train", "cat"), "train/2.png": ("train", None)}
    lines[1]["label"] = "dog"
    found = load(tmp_path, metadata={"train": lines}, captions=True)
    assert found == {"train/cat/1.png": ("train", None), "train/2.png": ("train", "dog")}


def test_captions_without_any_class_are_refused(tmp_path):
    lines = [{"file_name": "1.png", "text": "a cat"}]
    with pytest.raises(
        UserError, match=r"no image has a class.*class folders, or give each line .* a 'label'"
    ):
        load(tmp_path, "train/1.png", metadata={"train": lines}, captions=True)
