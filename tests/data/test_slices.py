"""``slices:`` of dataset.yaml: what it may say."""

from __future__ import annotations

import pytest

from data.errors import UserError
from data.slices import Bounds, SliceRule, metadata_columns
from tests.data.settings import FOLDER, IMAGE, load


def test_a_slice_is_a_column_or_bounds(tmp_path):
    rules = (
        "camera: {column: camera, values: [old, 3]}, class: {column: label}, dark: {brightness: {lowest: .1}}"
    )
    found = load(tmp_path, f"{FOLDER}slices: {{{rules}}}")
    assert found.metadata_columns == ("camera",)
    assert found.slices["camera"].values == ("old", "3")
    assert found.slices["dark"].bounds == {"brightness": Bounds(lowest=0.1)}
    assert load(tmp_path, FOLDER).slices == {}


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ("{}", "slices.x"),
        ("{column: camera, width: {below: 3}}", "slices.x"),
        ("{values: [a], width: {below: 3}}", "slices.x"),
        ("{width: {}}", "slices.x.width"),
        ("{width: {at_least: 3, below: 3}}", "slices.x.width"),
        ("{brightness: {lowest: 1.5}}", "slices.x.brightness.lowest"),
        ("{brightness: {lowst: 0.5}}", "slices.x.brightness.lowst: .*'lowest'"),
        ("{brigthness: {lowest: 0.5}}", "slices.x.brigthness: .*'brightness'"),
        ("{box_area: {lowest: 0.5}}", "box_area"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_its_key(tmp_path, rule, key):
    with pytest.raises(UserError, match=key):
        load(tmp_path, f"{FOLDER}slices: {{x: {rule}}}")


def test_a_column_of_metadata_needs_metadata(tmp_path):
    with pytest.raises(UserError, match="'camera'"):
        load(tmp_path, f"source: packaged\n{IMAGE}slices: {{x: {{column: camera}}}}")
    assert load(tmp_path, f"source: packaged\n{IMAGE}slices: {{x: {{column: label}}}}").metadata_columns == ()


def test_columns_are_named_once_and_in_order():
    rules = {
        name: SliceRule(column=column) for name, column in zip("abc", ("site", "camera", "site"), strict=True)
    }
    assert metadata_columns(rules) == ("camera", "site")
