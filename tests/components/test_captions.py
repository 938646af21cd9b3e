"""A user's own folder of images with captions, from `darkroom data add` to tensors, as the user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from data.captions import FIRST, UNKNOWN, spell
from data.prepared import SPLITS, PreparedData
from tests.photo_folder import command, darkroom_data, encode, photo, project, write

ADD = ("--name", "mine", "--text", "captions", "--image-size", "16")


def caption(name: str, number: int) -> str:
    return f"{('Small', 'A large')[number % 2]} {name}, no. {number % 3}!"


def fill(folder: Path) -> None:
    """Write photos of two classes in three splits, a folder for each class."""
    seed = 0
    for split, count in (("train", 12), ("validation", 3), ("test", 3)):
        lines = []
        for name in ("cat", "dog"):
            for number in range(count):
                seed += 1
                write(folder / split / name / f"{number:02d}.png", encode(photo(seed)))
                lines.append({"file_name": f"{name}/{number:02d}.png", "text": caption(name, number)})
        write_lines(folder / split / "metadata.jsonl", lines)


def write_lines(path: Path, lines: list[dict]) -> None:
    write(path, "\n".join(map(json.dumps, lines)).encode())


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def stages(root: Path, *names: str) -> None:
    for stage in names:
        command(root, "-m", f"components.{stage}", "mine")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    fill(folder / "mine")
    # One word of a test caption that no train caption has: of a language there are always more.
    lines = read_lines(folder / "mine/test/metadata.jsonl")
    lines[0]["text"] = "a cat on a sofa"
    write_lines(folder / "mine/test/metadata.jsonl", lines)
    root = project(folder / "project")
    darkroom_data(root, "add", str(folder / "mine"), *ADD)
    darkroom_data(root, "infer", "mine")
    stages(root, "ingest", "validate", "prepare")
    return folder / "mine", root


def test_each_image_comes_with_its_caption_and_its_class(sound):
    _, root = sound
    assert yaml.safe_load((root / "data/mine/dataset.yaml").read_text())["captions"] == {}
    data = PreparedData(root / "artifacts/data/mine/prepared")
    assert (data.spec.task, data.spec.classes) == ("text_to_image", ("cat", "dog"))
    assert data.spec.words == ("0", "1", "2", "a", "cat", "dog", "large", "no", "small")
    assert data.spec.longest_caption == 5
    for split in SPLITS:
        part = getattr(data, split)
        assert part.captions.dtype == np.int64 and part.captions.shape == (len(part), 5)
        spelled = spell(part.captions, data.spec.words)
        for id, label, text in zip(part.ids, part.labels, spelled, strict=True):
            name, number = re.search(r"(cat|dog)/(\d+)", id).groups()
            assert data.spec.classes[label] == name
            if text != "a cat a":  # without "on" and "sofa"
                assert text == f"{('small', 'a large')[int(number) % 2]} {name} no {int(number) % 3}"
    odd = data.test.captions[data.test.ids.index(min(data.test.ids))]
    a, cat = (FIRST + data.spec.words.index(word) for word in ("a", "cat"))
    assert odd.tolist() == [a, cat, UNKNOWN, a, UNKNOWN]


def test_what_was_inferred_holds_and_says_how_long_captions_are(sound):
    _, root = sound
    assert "all 21 expectations hold" in darkroom_data(root, "check", "mine").stdout
    suite = yaml.safe_load((root / "data/mine/suite.yaml").read_text())["general"]
    assert (suite["longest_caption"], suite["unknown_words"]) == (5, 1)


def put_faults(folder: Path) -> None:
    path = folder / "train/metadata.jsonl"
    lines = read_lines(path)
    lines[3]["text"] = ""
    del lines[4]["text"]
    lines[5]["text"] = "...!"
    lines[6]["text"] = "a large cat and two more"
    write_lines(path, [*lines, {"file_name": "odd.png", "text": "a cat"}])
    write(folder / "train/odd.png", encode(photo(99)))
    path = folder / "test/metadata.jsonl"
    lines = read_lines(path)
    lines[1]["text"] = "a gray Cat"
    write_lines(path, lines)


def test_every_fault_of_a_caption_is_named_and_stops(sound, tmp_path):
    fill(tmp_path / "mine")
    put_faults(tmp_path / "mine")
    root = project(tmp_path / "project")
    darkroom_data(root, "add", str(tmp_path / "mine"), *ADD)
    suite = (sound[1] / "data/mine/suite.yaml").read_text()
    (root / "data/mine/suite.yaml").write_text(suite.replace("unknown_words: 1", "unknown_words: 0"))
    stages(root, "ingest")
    said = command(root, "-m", "components.validate", "mine", expect=2).stderr
    for told in (
        r"every example has a label.*\n.*broken by 1: train/odd.png",
        r"every example has a caption, and none is empty.*\n.*broken by 2: train/cat/03.png, train/cat/04.png",
        r"every caption has a word.*\n.*broken by 1: train/cat/05.png",
        r"no caption is too long.*\n.*broken by 1: train/cat/06.png \(6.*\n.*general.longest_caption",
        r"every word can be learned in train.*\n.*broken by 1: test/cat/01.png \('gray'\)\n.*unknown_words",
    ):
        assert re.search(told, said), said


def test_what_texts_are_must_be_said_and_stays(tmp_path):
    fill(tmp_path / "mine")
    root = project(tmp_path / "project")

    def refused(*arguments: str) -> str:
        return darkroom_data(
            root, "add", str(tmp_path / "mine"), "--name", "mine", *arguments, expect=2
        ).stderr

    said = refused()
    assert "its metadata have 'text'. Say what it is:\n  --text transcripts: what is written" in said
    assert "\n  --text captions: what each image shows" in said
    assert "--text 'caption': texts are transcripts or captions. Did you mean 'captions'?" in refused(
        "--text", "caption"
    )
    assert not (root / "data/mine").exists()
    darkroom_data(root, "add", str(tmp_path / "mine"), *ADD)
    told = "data/mine/dataset.yaml: it was added as data with captions. Choose another --name."
    assert told in refused("--text", "transcripts")


def test_a_folder_that_cannot_be_captioned_says_what_it_lacks(tmp_path):
    fill(tmp_path / "mine")
    root = project(tmp_path / "project")

    def refused() -> str:
        return darkroom_data(root, "add", str(tmp_path / "mine"), *ADD, expect=2).stderr

    lines = read_lines(tmp_path / "mine/train/metadata.jsonl")
    for split in SPLITS:
        (tmp_path / "mine" / split / "metadata.jsonl").unlink()
    assert "--text captions: no line of metadata in it has a 'text'." in refused()
    for line in lines:
        source = tmp_path / "mine/train" / line["file_name"]
        line["file_name"] = line["file_name"].replace("/", "-")
        source.rename(tmp_path / "mine/train" / line["file_name"])
    for split in SPLITS[1:]:
        for file in (tmp_path / "mine" / split).rglob("*.png"):
            file.unlink()
    write_lines(tmp_path / "mine/train/metadata.jsonl", lines)
    said = refused()
    assert "no image has a class, by which images that are made from captions are judged." in said
    assert "give each line of the metadata a 'label'" in said
    lines[0]["objects"] = {"bbox": [], "categories": []}
    for line in lines:
        line["label"] = "cat"
    write_lines(tmp_path / "mine/train/metadata.jsonl", lines)
    assert (
        "objects and captions: data is for detection, translation, transcription or text to image"
        in refused()
    )
    assert not (root / "data/mine").exists()
