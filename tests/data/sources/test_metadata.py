"""Metadata as people and tools write them: nothing is lost, each mistake is named by file and line."""

from __future__ import annotations

import json

import pytest

from data.errors import UserError
from data.sources import imagefolder
from data.sources.listing import scan
from tests.photo_folder import write


def load(folder, *, captions=False, **texts):
    """Write metadata of the given endings and three images, and return these by their ids."""
    for name in ("1.png", "2.png", "x/3.png"):
        write(folder / name, b"x")
    for ending, text in texts.items():
        write(folder / f"metadata.{ending}", text if isinstance(text, bytes) else text.encode())
    return {file.id: file for file in imagefolder.load(folder, scan(folder), captions=captions)}


def lines(*values):
    return "\n".join(value if isinstance(value, str) else json.dumps(value) for value in values)


def boxes(name, *found, **more):
    return {
        "file_name": name,
        "objects": {"bbox": [list(box) for _, box in found], "categories": [kind for kind, _ in found]},
        **more,
    }


def labels(files):
    return {id: file.label for id, file in files.items()}


def test_objects_of_several_lines_are_joined(tmp_path):
    text = lines(
        boxes("1.png", ("ant", (1, 2, 3, 4))),
        boxes("2.png"),
        boxes("./1.png", ("bee", (5, 6, 7, 8)), ("ant", (0, 0, 1, 1))),
    )
    found = load(tmp_path, jsonl=text)["1.png"].objects
    assert [(one.category, one.box) for one in found] == [
        ("ant", (1, 2, 3, 4)),
        ("bee", (5, 6, 7, 8)),
        ("ant", (0, 0, 1, 1)),
    ]
    assert found[1].where == f"{tmp_path}/metadata.jsonl:3: objects.0"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"file_name": "1.png", "label": "cup"}, {"file_name": "1.png", "label": "mug"}),
        ({"file_name": "1.png", "label": "cup"}, {"file_name": "./1.png", "label": "cup"}),
        ({"file_name": "1.png", "label": "cup"}, {"file_name": "1.PNG"}),
        ({"file_name": "1.png", "text": "a"}, {"file_name": "1.png", "text": "b"}),
        (
            {"file_name": "1.png", "input_file_name": "2.png"},
            {"file_name": "1.png", "input_file_name": "x/3.png"},
        ),
        (boxes("1.png", ("ant", (1, 2, 3, 4))), {"file_name": "1.png", "label": "cup"}),
        (boxes("1.png", label="cup"), boxes("1.png", label="mug")),
    ],
)
def test_a_second_line_that_says_something_else_is_refused(tmp_path, first, second):
    told = r"metadata.jsonl:3: '1.png' is told of already, in .*metadata.jsonl:1\. Only lines of 'objects'"
    with pytest.raises(UserError, match=told):
        load(tmp_path, jsonl=lines(first, {"file_name": "2.png"}, second))


def test_a_line_in_a_folder_further_up_is_a_second_one_too(tmp_path):
    write(tmp_path / "x/metadata.jsonl", b'{"file_name": "3.png", "label": "cup"}')
    with pytest.raises(
        UserError, match=r"x/metadata.jsonl:1: 'x/3.png' is told of already, in .*/metadata.js"
    ):
        load(tmp_path, jsonl=lines({"file_name": "x/3.png", "label": "mug"}))


def test_the_same_object_twice_is_refused(tmp_path):
    one = boxes("1.png", ("ant", (1, 2, 3, 4)))
    with pytest.raises(
        UserError, match=r"jsonl:2: objects.0: is the same object of '1.png' as .*jsonl:1: obj"
    ):
        load(tmp_path, jsonl=lines(one, one))


@pytest.mark.parametrize("label", ["NaN", "Infinity", "[]", '["cup"]', '{"a": 1}', "1.5", "1.0"])
def test_what_is_no_class_is_refused(tmp_path, label):
    with pytest.raises(UserError, match=r"metadata.jsonl:2: label .* is no class: a text or a whole number"):
        load(
            tmp_path,
            jsonl=lines({"file_name": "1.png", "label": 1}, f'{{"file_name": "2.png", "label": {label}}}'),
        )


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (1, "1", r'jsonl:2: label "1" is a text, and that of .*jsonl:1 is a whole number'),
        ("cat", 2, r"jsonl:2: label 2 is a whole number, and that of .*jsonl:1 is a text"),
        (True, 1, r"jsonl:2: label 1 is a whole number, and that of .*jsonl:1 is true or false"),
        ("1", "1.0", r"jsonl:2: label '1.0' is the same number as '1' of .*jsonl:1"),
        ("01", "1", r"jsonl:2: label '1' is the same number as '01' of .*jsonl:1"),
    ],
)
def test_classes_are_written_in_one_way(tmp_path, first, second, told):
    with pytest.raises(UserError, match=told):
        load(
            tmp_path,
            jsonl=lines({"file_name": "1.png", "label": first}, {"file_name": "2.png", "label": second}),
        )
    text = lines(boxes("1.png", (first, (1, 2, 3, 4)), (second, (1, 2, 3, 5))))
    with pytest.raises(UserError, match=r"categor"):
        load(tmp_path, jsonl=text)


def test_truth_is_written_as_in_json_and_blanks_and_accents_make_no_class(tmp_path):
    text = lines({"file_name": "1.png", "label": True}, {"file_name": "2.png", "label": False})
    assert labels(load(tmp_path, jsonl=text)) == {"1.png": "true", "2.png": "false", "x/3.png": None}
    text = lines({"file_name": "1.png", "label": "cafe\u0301 "}, {"file_name": "2.png", "label": "caf\u00e9"})
    assert set(labels(load(tmp_path, jsonl=text)).values()) == {"caf\u00e9", None}


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"metadata.jsonl:1: not a line of JSON: 'label' is there twice"):
        load(tmp_path, jsonl='{"file_name": "1.png", "label": "cup", "label": "mug"}')


@pytest.mark.parametrize("escape", [r"\ud800", r"\u0000"])
@pytest.mark.parametrize("key", ["file_name", "label", "text"])
def test_what_no_file_can_hold_is_refused(tmp_path, key, escape):
    values = {"file_name": "1.png", key: "1.png"}
    with pytest.raises(UserError, match=r"metadata.jsonl:1: not a line of JSON: it has a character that no"):
        load(tmp_path, jsonl=json.dumps(values).replace('"1.png"}', f'"{escape}"}}'))


def test_a_name_that_is_too_long_is_a_missing_file(tmp_path):
    name = "a" * 5000 + ".png"
    assert name in load(tmp_path, jsonl=lines({"file_name": name, "label": "cup"}))


def test_metadata_of_nothing_are_no_images(tmp_path):
    write(tmp_path / "metadata.csv", b"file_name,label\n")
    with pytest.raises(UserError, match="no image in it"):
        imagefolder.load(tmp_path, scan(tmp_path))


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path):
    text = '\ufeff{"file_name": "1.png", "label": "cup"}\r\n{"file_name": "2.png", "label": "mug"}\r\n'
    assert labels(load(tmp_path / "a", jsonl=text)) == {"1.png": "cup", "2.png": "mug", "x/3.png": None}
    text = "\ufefffile_name,label\r\n1.png,cup\r\n2.png,mug\r\n"
    assert labels(load(tmp_path / "b", csv=text)) == {"1.png": "cup", "2.png": "mug", "x/3.png": None}


def test_only_line_feeds_end_a_line(tmp_path):
    text = '{"file_name": "1.png", "text": "a\u2028b\x85c"}\n'
    assert load(tmp_path, jsonl=text)["1.png"].text == "a\u2028b\x85c"


@pytest.mark.parametrize(
    ("name", "found"),
    [(r"X\3.png", "x/3.png"), ("X/3.PNG", "x/3.png"), ("x%2F3.png", "x/3.png"), ("%31.png", "1.png")],
)
def test_names_as_other_systems_write_them(tmp_path, name, found):
    files = load(tmp_path, jsonl=lines({"file_name": name, "label": "cup"}))
    assert labels(files)[found] == "cup" and len(files) == 3


def test_a_missing_file_comes_with_the_nearest_name(tmp_path):
    files = load(tmp_path, jsonl=lines({"file_name": "x/3.jpg", "input_file_name": "2.jpg"}))
    assert files["x/3.jpg"].nearest == "x/3.png" and files["x/3.jpg"].input.nearest == "2.png"
    assert files["1.png"].nearest is None


def test_a_table(tmp_path):
    text = 'label,file_name,text,labels\n7,1.png,"a, ""b""\nc",x\n\n ,2.png,,\n,x/3.png,d,y\n'
    files = load(tmp_path, csv=text)
    assert {id: (file.label, file.text) for id, file in files.items()} == {
        "1.png": ("7", 'a, "b"\nc'),
        "2.png": (None, None),
        "x/3.png": (None, "d"),
    }


def test_a_table_of_pairs(tmp_path):
    found = load(tmp_path, csv="file_name,input_file_name\n1.png,2.png\n")
    assert found["1.png"].input.id == "2.png" and labels(found) == {"1.png": "all", "x/3.png": None}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"metadata.csv:1: needs a head with 'file_name', and is empty"),
        ("filename,label\n1.png,cup\n", r"csv:1: needs a column 'file_name', and has 'filename'"),
        ("file_name;label\n1.png;cup\n", r"csv:1: needs a column 'file_name', .*separated by commas"),
        ("file_name,labels\n1.png,cup\n", r"csv:2: needs a 'label', and has 'labels'"),
        ("file_name,label,label\n", r"csv:1: two columns are called 'label'"),
        ("file_name,objects\n", r"csv:1: objects: a table has none.*metadata.jsonl"),
        ("file_name,label\n1.png,cup\n2.png\n", r"csv:3: 1 cells, and the head has 2"),
        ('file_name,label\n1.png,"a\nb"\n2.png,"cup\n', r"csv:4: not a row of CSV"),
        ("file_name,label\n,cup\n", r"csv:2: file_name: is empty"),
        (
            "file_name,label\n1.png,nan\n",
            r"csv:2: label 'nan' is no class. Where there is none, leave it empty",
        ),
        ("file_name,label\n1.png,1\n2.png,1.0\n", r"csv:3: label '1.0' is the same number as '1' of .*csv:2"),
        ("file_name,label\n1.png,cup\n1.png,mug\n", r"csv:3: '1.png' is told of already, in .*csv:2"),
        ("file_name,label\n../1.png,cup\n", r"csv:2: file_name '../1.png' leads out of the folder"),
        ("file_name,label\n..\\1.png,cup\n", r"csv:2: file_name .* leads out of the folder"),
        (b"file_name,label\n1.png,caf\xe9\n", r"metadata.csv: cannot be read: 'utf-8'"),
    ],
)
def test_a_mistake_in_a_table_is_named(tmp_path, text, told):
    with pytest.raises(UserError, match=told):
        load(tmp_path, csv=text)


def test_two_kinds_and_unknown_ones_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"metadata.csv and metadata.jsonl are both there.*Remove one"):
        load(tmp_path / "a", csv="file_name\n", jsonl="")
    with pytest.raises(UserError, match=r"metadata.parquet: is not read. Write it as metadata.jsonl or"):
        load(tmp_path / "b", parquet=b"PAR1")
    write(tmp_path / "c/METADATA.CSV", b"file_name,label\n1.png,cup\n")
    assert labels(load(tmp_path / "c"))["1.png"] == "cup"


def test_an_image_without_an_ending_is_read_where_a_line_names_it(tmp_path):
    write(tmp_path / "photo", b"x")
    assert labels(load(tmp_path, csv="file_name,label\nphoto,cup\n"))["photo"] == "cup"


def test_class_folders_of_macos_and_of_others_are_one_class(tmp_path):
    for name in ("cafe\u0301/1.png", "b/caf\u00e9/2.png"):
        write(tmp_path / name, b"x")
    assert {file.label for file in imagefolder.load(tmp_path, scan(tmp_path))} == {"caf\u00e9"}
