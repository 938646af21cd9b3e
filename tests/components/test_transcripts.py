"""A user's own folder of lines with their transcripts, from `darkroom data add` to tensors, as the user runs it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

from data.prepared import SPLITS, PreparedData
from data.text import spell
from tests.photo_folder import command, darkroom_data, encode, project, write

WORDS = ("fée", "nave", "vanne", "fan", "af", "né")
SPLIT_OF = {0: "train", 1: "validation", 2: "test"}


def word(text: str, seed: int) -> Image.Image:
    """Draw a word on paper of a tone and size of its own."""
    image = Image.new("L", (20 + 9 * len(text), 24 + seed % 3), 200 + seed)
    ImageDraw.Draw(image).text((4 + seed % 7, 3), text, fill=seed)
    return image


def lines_of(folder, split: str, count: int, first: int) -> None:
    lines = []
    for index in range(count):
        text = WORDS[index % len(WORDS)]
        write(folder / split / f"{index:02d}.png", encode(word(text, first + index)))
        # One e with its accent as a character of its own: the same text.
        lines.append(json.dumps({"file_name": f"{index:02d}.png", "text": text.replace("é", "e\u0301")}))
    write(folder / split / "metadata.jsonl", "\n".join(lines).encode())


def make(folder):
    for number, (split, count) in enumerate((("train", 24), ("validation", 6), ("test", 6))):
        lines_of(folder / "mine", split, count, first=25 * number if number < 2 else 40)
    root = project(folder / "project")
    darkroom_data(root, "add", str(folder / "mine"), "--name", "mine", "--text", "transcripts")
    return folder / "mine", root


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder, root = make(tmp_path_factory.mktemp("sound"))
    darkroom_data(root, "infer", "mine")
    for stage in ("ingest", "validate", "prepare"):
        command(root, "-m", f"components.{stage}", "mine")
    return folder, root


def test_each_line_comes_with_its_text(sound):
    folder, root = sound
    data = PreparedData(root / "artifacts/data/mine/prepared")
    assert (data.spec.task, data.spec.classes) == ("transcription", ("all",))
    assert data.spec.symbols == tuple("aefnvé") and data.spec.longest_text == 5
    settings = yaml.safe_load((root / "data/mine/dataset.yaml").read_text())
    assert settings["text"] == {"separator": ""} and settings["image"]["height"] == 32
    assert data.spec.width == settings["image"]["width"] > 64
    for split in SPLITS:
        part = getattr(data, split)
        for id, image, text in zip(
            part.ids, part.images, spell(part.texts, data.spec.symbols, ""), strict=True
        ):
            assert text == WORDS[int(id[-6:-4]) % len(WORDS)]
            there = Image.open(folder / id).resize((data.spec.width, 32), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(image[..., 0], np.asarray(there))


def test_what_was_inferred_holds_and_says_how_long_texts_are(sound):
    _, root = sound
    assert "all" in darkroom_data(root, "check", "mine").stdout
    assert "longest_text: 5" in (root / "data/mine/suite.yaml").read_text()


def put_faults(folder) -> None:
    path = folder / "train/metadata.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[3]["text"] = ""
    del lines[4]["text"]
    lines[5]["text"] = "navevanne"
    write(path, "\n".join(map(json.dumps, lines)).encode())
    path = folder / "test/metadata.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[2]["text"] = "vœu"
    write(path, "\n".join(map(json.dumps, lines)).encode())


def test_every_fault_of_a_transcript_is_named_and_stops(sound, tmp_path):
    folder, root = make(tmp_path)
    write(root / "data/mine/suite.yaml", (sound[1] / "data/mine/suite.yaml").read_bytes())
    put_faults(folder)
    darkroom_data(root, "add", str(folder), "--name", "mine")
    command(root, "-m", "components.ingest", "mine")
    said = command(root, "-m", "components.validate", "mine", expect=2).stderr
    for told in (
        r"every example has a transcript, and none is empty.*\n.*broken by 2: train/03.png, train/04.png",
        r"no transcript is too long.*\n.*broken by 1: train/05.png \(9.*\n.*general.longest_text",
        r"every symbol can be learned in train.*\n.*broken by 1: test/02.png \('u' 'œ'\)\n.*unknown_symbols",
    ):
        assert re.search(told, said), said


def test_a_symbol_that_the_settings_lack_is_named(sound, tmp_path):
    _, root = make(tmp_path)
    path = root / "data/mine/dataset.yaml"
    path.write_text(path.read_text().replace('{separator: ""}', "{symbols: [a, e, f, n, v]}").replace(
        "{separator: ''}", "{symbols: [a, e, f, n, v]}"))  # fmt: skip
    write(root / "data/mine/suite.yaml", (sound[1] / "data/mine/suite.yaml").read_bytes())
    for stage in ("ingest", "validate"):
        command(root, "-m", f"components.{stage}", "mine")
    said = command(root, "-m", "components.prepare", "mine", expect=2).stderr
    assert "data/mine/dataset.yaml: text.symbols: lacks the symbol 'é' of a transcript." in said
