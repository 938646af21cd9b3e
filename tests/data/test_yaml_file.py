"""YAML files that people write."""

from __future__ import annotations

import re

import pytest

from data import yaml_file
from data.errors import UserError


def test_values_merges_and_anchors_are_read(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a: &x {b: 1, c: [{d: 2}, {d: 3}]}\ne: {<<: *x, b: 4}\n")
    inner = {"b": 1, "c": [{"d": 2}, {"d": 3}]}
    assert yaml_file.read(file, "") == {"a": inner, "e": {**inner, "b": 4}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: 'a' is there already, on line 1. Remove one of them."),
        ("models:\n  one: {x: 1}\n  two: {x: 1, y: 2, x: 3}\n", "line 3: 'x' is there already, on line 3."),
        ("a:\n  - {1: x, 1: y}\n", "line 2: 1 is there already"),
        ("a: [1\n", "not valid YAML"),
    ],
)
def test_mistakes(tmp_path, text, told):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{file}: {told}")):
        yaml_file.read(file, "")


def test_what_is_missing_is_told_with_its_mend(tmp_path):
    with pytest.raises(UserError, match=r"none.yaml: not found. Write it\."):
        yaml_file.read(tmp_path / "none.yaml", "Write it.")
