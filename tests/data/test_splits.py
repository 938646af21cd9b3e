import hashlib

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from data.prepared import SPLITS
from data.spec import Shares
from data.splits import assign

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(0, 40), st.sampled_from(["", "train", "validation", "test"])
    ),
    min_size=1,
    max_size=80,
)
SHARES = st.builds(Shares, validation=st.floats(0, 0.4), test=st.floats(0, 0.4))


def manifest(rows) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": [label for label, _, _ in rows],
            "sha256": [hashlib.sha256(str(content).encode()).hexdigest() for _, content, _ in rows],
            "split": [split for _, _, split in rows],
        }
    )


@given(ROWS, SHARES)
def test_every_row_is_in_one_split_and_given_splits_are_kept(rows, shares):
    frame = manifest(rows)
    split = assign(frame, shares)
    assert split.isin(SPLITS).all()
    held_out = frame["split"].isin(["validation", "test"])
    assert (split[held_out] == frame["split"][held_out]).all()


@given(ROWS, SHARES, st.randoms())
def test_row_order_does_not_matter(rows, shares, random):
    frame = manifest(rows)
    order = list(frame.index)
    random.shuffle(order)
    assert assign(frame.loc[order], shares).sort_index().equals(assign(frame, shares))


@given(ROWS, SHARES)
def test_no_content_is_in_two_splits_unless_the_source_put_it_there(rows, shares):
    frame = manifest(rows)
    split = assign(frame, shares)
    taken = frame.loc[frame["split"].isin(["validation", "test"]), "sha256"]
    carved = ~frame["sha256"].isin(taken)
    assert (split[carved].groupby(frame["sha256"][carved]).nunique() <= 1).all()


@given(st.integers(20, 300), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
@settings(max_examples=30)
def test_shares_are_met_within_each_class(count, validation, test):
    frame = manifest([("ab"[i % 2], i, "") for i in range(count)])
    split = assign(frame, Shares(validation=validation, test=test))
    for label, size in frame["label"].value_counts().items():
        found = split[frame["label"] == label].value_counts()
        assert abs(found["validation"] - size * validation) <= 0.5
        assert abs(found["test"] - size * test) <= 0.5


def test_only_the_split_that_is_not_given_is_carved_and_only_from_train():
    frame = manifest([("a", i, "train") for i in range(50)] + [("a", 100 + i, "test") for i in range(10)])
    split = assign(frame, Shares(validation=0.1, test=0.5))
    assert split.value_counts().to_dict() == {"train": 45, "validation": 5, "test": 10}


def test_a_class_of_three_has_one_in_each_split():
    assert set(assign(manifest([("a", i, "") for i in range(3)]), Shares())) == set(SPLITS)


def test_images_with_objects_are_shared_out_by_their_rarest_class():
    rows = pd.DataFrame({"split": "", "label": None, "sha256": [f"{k:064x}" for k in range(200)]})
    rows["categories"] = [["common"] * (k % 3) + ["rare"] * (k % 10 == 9) for k in range(200)]
    split = assign(rows, Shares(validation=0.1, test=0.2))
    rare = np.array([k % 10 == 9 for k in range(200)])
    assert split[rare].value_counts().to_dict() == {"train": 14, "test": 4, "validation": 2}
