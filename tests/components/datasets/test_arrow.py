import numpy as np
import pyarrow as pa
import pytest

from components.datasets import arrow
from components.datasets.manifest import (
    FACE_SCHEMA,
    INPUT,
    OBJECT_SCHEMA,
    PAIRED_SCHEMA,
    SCHEMA,
    TEXT_SCHEMA,
)

ROWS = [
    {"id": "a", "label": "é", "width": 3, "bytes": 1 << 40, "decodes": True, "brightness": 0.1},
    {"id": "", "label": None, "decodes": False, "error": "damaged: \x00 \U0001f600", "contrast": -0.0},
    {},
    {"symbols": ["a", "", "é"], "boxes": [0.5, np.pi], "crowd": [True, False], "landmarks": [0.1, 0.2]},
    {"symbols": [], "boxes": [], "categories": ["cat"], "identity": "x", f"{INPUT}sha256": "00"},
]


@pytest.mark.parametrize("schema", [SCHEMA, PAIRED_SCHEMA, FACE_SCHEMA, TEXT_SCHEMA, OBJECT_SCHEMA])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [], [{}], 5 * ROWS])
def test_a_table_is_pyarrows_own(schema, rows):
    found = arrow.table(rows, schema)
    found.validate(full=True)
    assert found.equals(pa.Table.from_pylist(rows, schema))


@pytest.mark.parametrize("type", [pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64()])
def test_numbers_are_the_same_in_numpy(type):
    values = pa.array([3, None, 5, 7, 11], type)
    for part in (values, values[1:4], values[2:2]):
        found, there = arrow.to_numpy(part), arrow.is_there(part)
        assert found.dtype == type.to_pandas_dtype()
        assert found[there].tolist() == part.drop_null().to_pylist()
        assert there.tolist() == part.is_valid().to_pylist()


def test_all_are_there_where_none_is_missing():
    assert arrow.is_there(pa.array([1, 2])).tolist() == [True, True]


def test_bytes_and_places_become_arrays():
    assert arrow.of_bytes(b"abcdef", 2).to_pylist() == [b"ab", b"cd", b"ef"]
    assert arrow.of_numbers(np.arange(10)[::3]).to_pylist() == [0, 3, 6, 9]
