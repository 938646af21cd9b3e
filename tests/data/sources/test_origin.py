"""Groups and times of images, as metadata and COCO's JSON give them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from data.errors import UserError
from data.sources import origin
from data.spec import Splits

BOTH = Splits(by="group", test_weeks=2)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("ward 3", "ward 3"),
        (7, "7"),
        (0, "0"),
        ("", None),
        (None, None),
        (True, None),
        ([1], None),
        (1.5, None),
    ],
)
def test_a_group_is_a_text_or_a_whole_number(told, expected):
    assert origin.group({"group": told}) == expected
    assert origin.group({}) is None


def test_coco_s_own_key_tells_the_time_where_there_is_no_other():
    assert origin.time({"date_captured": "2013-11-14 17:02:52"}) == "2013-11-14 17:02:52"
    assert origin.time({"date_captured": "2013-11-14", "time": "2026-01-02"}) == "2026-01-02"
    assert origin.time({"time": 5}) is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-11-30", datetime(2026, 11, 30, tzinfo=UTC)),
        ("2013-11-14 17:02:52", datetime(2013, 11, 14, 17, 2, 52, tzinfo=UTC)),
        ("2026-11-30T14:05:00+01:00", datetime(2026, 11, 30, 13, 5, tzinfo=UTC)),
    ],
)
def test_a_time_is_in_utc_unless_it_says_otherwise(told, expected):
    assert origin.columns("1.png", "a", told, BOTH) == {"group": "a", "time": expected}


def test_what_no_rule_needs_is_no_column_and_no_fault():
    assert origin.columns("1.png", None, "yesterday", Splits()) == {}


@pytest.mark.parametrize(
    ("group", "time", "told"),
    [
        (
            None,
            "2026-11-30",
            r"^1\.png: splits\.by: group of dataset\.yaml needs its 'group', and no metadata give",
        ),
        ("a", None, r"^1\.png: splits\.test_weeks .*'time', and no metadata give one: as 2026-11-30"),
        ("a", "yesterday", r"'yesterday' is none"),
    ],
)
def test_what_is_missing_is_told_by_file(group, time, told):
    with pytest.raises(UserError, match=told):
        origin.columns("1.png", group, time, BOTH)
