"""Every family learns the same from pictures in several files as from one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from data.arrays import ShardedArray
from data.prepared import PICTURES, SPLITS, PreparedData, Split
from models.registry import FAMILIES
from tests.models import tiny

QUICK = ("gmm", "svm")
"""The others take long; how most of them read pictures, test_batches.py looks at."""


def in_parts(data: PreparedData) -> SimpleNamespace:
    """Return ``data`` with the pictures of each split in three parts."""
    splits = {name: _in_parts(getattr(data, name)) for name in SPLITS}
    return SimpleNamespace(spec=data.spec, folder=data.folder, **splits)


def _in_parts(split: Split) -> Split:
    held = {name: getattr(split, name) for name in PICTURES}
    return replace(
        split,
        **{
            name: ShardedArray(np.split(values, [5, 11]))
            for name, values in held.items()
            if values is not None
        },
    )


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES]
)
def test_pictures_in_several_files_teach_the_same(family, suitable):
    data = suitable(family)
    whole, _ = tiny.fitted(family, data)
    parts, _ = tiny.fitted(family, in_parts(data))
    expected, found = whole.state_dict(), parts.state_dict()
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name].cpu().numpy(), values.cpu().numpy(), err_msg=name)
