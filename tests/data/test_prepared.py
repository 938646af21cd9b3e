"""A prepared folder of which a part of the test split is measured on."""

from __future__ import annotations

import numpy as np

from tests.models import tiny


def test_rows_of_the_test_split_are_measured_on_and_all_else_stays(tmp_path):
    whole = tiny.prepare_lines(tmp_path)
    rows = np.array([7, 0, 3])
    part = whole.tested_on(rows)
    assert part.spec == whole.spec and len(part.train) == len(whole.train)
    assert part.test.ids == [whole.test.ids[row] for row in rows] and len(part.test) == 3
    for name in ("images", "labels", "texts", "contents"):
        np.testing.assert_array_equal(getattr(part.test, name)[:], getattr(whole.test, name)[rows])
    assert part.test.inputs is None
    assert len(whole.test) == 80
