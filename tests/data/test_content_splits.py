import hashlib

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from data.content_splits import OPEN, by_content
from data.prepared import SPLITS
from data.spec import Splits
from data.splits import assign

ROWS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["", "train", "validation", "test"])),
    min_size=1,
    max_size=60,
)
RULES = st.builds(Splits, validation=st.floats(0, 0.4), test=st.floats(0, 0.4), salt=st.sampled_from("ab"))


@given(ROWS, RULES)
def test_arrays_are_split_as_tables_are(rows, splits):
    hashes = [hashlib.sha256(str(content).encode()) for content, _ in rows]
    told = [split for _, split in rows]
    table = pd.DataFrame({"label": "a", "sha256": [one.hexdigest() for one in hashes], "split": told})
    digests = np.frombuffer(b"".join(one.digest() for one in hashes), np.uint8).reshape(-1, 32)
    numbers = np.array([SPLITS.index(name) if name else OPEN for name in told], np.int8)
    found = by_content(numbers, digests, splits)
    assert [SPLITS[place] for place in found] == assign(table, splits).tolist()
