"""``challenge_sets:`` of dataset.yaml: what it may say."""

from __future__ import annotations

import pytest

from data.errors import UserError
from tests.data.settings import FOLDER, IMAGE, load


def test_a_set_is_read_as_a_folder_of_its_own(tmp_path):
    sets = "{night: {folder: /night, listing: abc}, weather: {folder: /w, column: fog, values: [1, thick]}}"
    text = f"source: packaged\n{IMAGE}slices: {{wide: {{width: {{at_least: 9}}}}}}\nchallenge_sets: {sets}"
    settings = load(tmp_path, text)
    assert settings.challenge_sets["weather"].values == ("1", "thick")
    read = settings.of_challenge_set("night")
    assert (read.source, str(read.folder), read.listing) == ("imagefolder", "/night", "abc")
    assert read.metadata_columns == ("fog",) and settings.metadata_columns == ()
    assert load(tmp_path, FOLDER).challenge_sets == {}


def test_groups_are_read_where_they_decide(tmp_path):
    settings = load(tmp_path, f"{FOLDER}splits: {{by: group}}\nchallenge_sets: {{night: {{folder: /night}}}}")
    read = settings.of_challenge_set("night")
    assert read.metadata_columns == ("group",) and read.splits.columns == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("challenge_sets: {night: {}}", r"challenge_sets\.night\.folder: is missing"),
        ("challenge_sets: {night: {folder: /n, values: [a]}}", r"challenge_sets\.night: .*column"),
        ("challenge_sets: {night: {folder: /n, colum: a}}", r"night\.colum: unknown key.*'column'"),
        ("challenge_sets: {a/b: {folder: /n}}", "'a/b' is no name"),
        ("challenge_sets: {night: {folder: /n, coco: [/a.json]}}", "coco tells of objects"),
        ("captions: {}\nchallenge_sets: {night: {folder: /n}}", "challenge_sets: are of images with"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, text, told):
    with pytest.raises(UserError, match=told):
        load(tmp_path, FOLDER + text)
