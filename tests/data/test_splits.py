"""Splits: what never moves, what moves together, and shares."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UserError
from data.prepared import SPLITS
from data.spec import Splits
from data.splits import assign

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(0, 40), st.sampled_from(["", "train", "validation", "test"])
    ),
    min_size=1,
    max_size=80,
)
RULES = st.sampled_from(["content", "group", "class"])
SPLITTINGS = st.builds(Splits, by=RULES, validation=st.floats(0, 0.4), test=st.floats(0, 0.4))


def manifest(rows) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": [label for label, _, _ in rows],
            "sha256": [hashlib.sha256(str(content).encode()).hexdigest() for _, content, _ in rows],
            "split": [split for _, _, split in rows],
            "group": [f"group {content % 7}" for _, content, _ in rows],
            "id": [str(place) for place in range(len(rows))],
        }
    )


@given(ROWS, SPLITTINGS)
def test_every_row_is_in_one_split_and_given_splits_are_kept(rows, splits):
    frame = manifest(rows)
    split = assign(frame, splits)
    assert split.isin(SPLITS).all()
    held_out = frame["split"].isin(["validation", "test"])
    assert (split[held_out] == frame["split"][held_out]).all()


@given(ROWS, SPLITTINGS, st.randoms())
def test_row_order_does_not_matter(rows, splits, random):
    frame = manifest(rows)
    order = list(frame.index)
    random.shuffle(order)
    assert assign(frame.loc[order], splits).sort_index().equals(assign(frame, splits))


@given(ROWS, SPLITTINGS)
def test_no_content_is_in_two_splits_unless_the_source_put_it_there(rows, splits):
    frame = manifest(rows)
    split = assign(frame, splits)
    taken = frame.loc[frame["split"].isin(["validation", "test"]), "sha256"]
    carved = ~frame["sha256"].isin(taken)
    assert (split[carved].groupby(frame["sha256"][carved]).nunique() <= 1).all()


@given(st.integers(20, 300), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
@settings(max_examples=30)
def test_by_class_shares_are_met_within_each_class(count, validation, test):
    frame = manifest([("ab"[i % 2], i, "") for i in range(count)])
    split = assign(frame, Splits(by="class", validation=validation, test=test))
    for label, size in frame["label"].value_counts().items():
        found = split[frame["label"] == label].value_counts()
        assert abs(found["validation"] - size * validation) <= 0.5
        assert abs(found["test"] - size * test) <= 0.5


def test_by_class_only_the_split_that_is_not_given_is_carved_and_only_from_train():
    frame = manifest([("a", i, "train") for i in range(50)] + [("a", 100 + i, "test") for i in range(10)])
    split = assign(frame, Splits(by="class", validation=0.1, test=0.5))
    assert split.value_counts().to_dict() == {"train": 45, "validation": 5, "test": 10}


def test_by_class_a_class_of_three_has_one_in_each_split():
    assert set(assign(manifest([("a", i, "") for i in range(3)]), Splits(by="class"))) == set(SPLITS)


def test_by_class_images_with_objects_are_shared_out_by_their_rarest_class():
    rows = pd.DataFrame({"split": "", "label": None, "sha256": [f"{k:064x}" for k in range(200)]})
    rows["categories"] = [["common"] * (k % 3) + ["rare"] * (k % 10 == 9) for k in range(200)]
    split = assign(rows, Splits(by="class", validation=0.1, test=0.2))
    rare = np.array([k % 10 == 9 for k in range(200)])
    assert split[rare].value_counts().to_dict() == {"train": 14, "test": 4, "validation": 2}


@given(ROWS, ROWS, SPLITTINGS.filter(lambda splits: splits.by != "class"))
def test_what_comes_and_goes_moves_nothing_else(rows, others, splits):
    rows, others = ([(label, content, "") for label, content, _ in some] for some in (rows, others))
    alone, together = assign(manifest(rows), splits), assign(manifest(others + rows), splits)
    assert together.tolist()[len(others) :] == alone.tolist()


@pytest.mark.parametrize("growths", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_over_any_growth_no_image_changes_its_split(growths):
    random = np.random.default_rng(0)
    for growth in range(growths):
        first = [("a", 1000 * growth + place, "") for place in range(int(random.integers(1, 40)))]
        more = [
            ("ab"[place % 2], 1000 * growth + 500 + place, "")
            for place in range(1, int(random.integers(2, 40)))
        ]
        kept = random.random(len(first)) < 0.8
        before = assign(manifest(first), Splits())
        after = assign(
            manifest([row for row, stays in zip(first, kept, strict=True) if stays] + more), Splits()
        )
        assert after.tolist()[: kept.sum()] == before[kept].tolist()


def test_shares_are_met_in_the_mean_and_another_salt_deals_anew():
    frame = manifest([("a", place, "") for place in range(20_000)])
    found = assign(frame, Splits(validation=0.1, test=0.2))
    counts = found.value_counts()
    # Four standard deviations of a binomial count.
    assert abs(counts["test"] - 4000) < 4 * 57 and abs(counts["validation"] - 2000) < 4 * 43
    other = assign(frame, Splits(validation=0.1, test=0.2, salt="2027"))
    both = ((found == "test") & (other == "test")).sum()
    assert abs(both - 800) < 4 * 28  # as of two draws that know nothing of each other


@given(ROWS, SPLITTINGS.filter(lambda splits: splits.by == "group"))
def test_no_group_is_in_two_splits(rows, splits):
    frame = manifest([(label, content, "") for label, content, _ in rows])
    found = assign(frame, splits)
    assert (found.groupby(frame["group"]).nunique() == 1).all()


def test_a_content_in_two_groups_is_refused_by_name():
    frame = manifest([("a", 1, ""), ("a", 2, ""), ("a", 1, "")])
    frame["group"] = ["left", "left", "right"]
    with pytest.raises(UserError, match=r"0 and 2 are the same image, in the groups 'left' and 'right'"):
        assign(frame, Splits(by="group"))


def test_the_newest_weeks_are_the_test_split():
    frame = manifest([("a", place, "") for place in range(400)])
    frame["time"] = pd.Timestamp("2026-11-30", tz="UTC") - pd.to_timedelta(np.arange(400) % 100, unit="D")
    split = assign(frame, Splits(test_weeks=3, validation=0.25))
    old = (np.arange(400) % 100) >= 21
    assert (split[~old] == "test").all() and not (split[old] == "test").any()
    assert 0.15 < (split[old] == "validation").mean() < 0.35


def test_a_group_is_as_old_as_its_oldest_row():
    frame = manifest([("a", place, "") for place in range(3)])
    frame["group"] = ["patient 1", "patient 1", "patient 2"]
    frame["time"] = pd.to_datetime(["2026-01-01", "2026-11-29", "2026-11-30"], utc=True)
    assert assign(frame, Splits(by="group", test_weeks=1, validation=0)).tolist() == [
        "train",
        "train",
        "test",
    ]
