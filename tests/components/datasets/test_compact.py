import json

import numpy as np
import pyarrow as pa
import pytest

from components.datasets import compact
from data.prepared import SPLITS


@pytest.fixture
def digests() -> np.ndarray:
    """Return 500 hashes: some twice, and some with the first 8, 16 or 24 bytes of others."""
    random = np.random.default_rng(0)
    found = random.integers(0, 256, (500, 32)).astype(np.uint8)
    for same in (8, 16, 24, 32):
        found[random.permutation(500)[:60], :same] = found[random.permutation(500)[:60], :same]
    return found


def test_hashes_are_numbered_in_their_order(digests):
    texts = [one.tobytes().hex() for one in digests]
    assert len(set(texts)) < 500
    np.testing.assert_array_equal(compact.numbers(digests), np.unique(texts, return_inverse=True)[1])
    assert len(compact.numbers(digests[:0])) == 0


def test_a_column_of_hashes_becomes_bytes_and_digits_again(digests, monkeypatch):
    column = pa.chunked_array([pa.array([one.tobytes() for one in digests], pa.binary(32))])
    np.testing.assert_array_equal(compact.digests(column), digests)
    np.testing.assert_array_equal(compact.digests(column.slice(7, 20)), digests[7:27])
    monkeypatch.setattr(compact, "_ROWS", 7)
    rows = np.arange(400)[::-3]
    expected = "\n".join(digests[row].tobytes().hex() for row in rows)
    assert b"".join(compact.hexadecimal(digests, rows)) == expected.encode()


def test_names_are_told_by_their_places():
    column = pa.chunked_array([pa.array(["b", "a"]), pa.array(["a", "c"])]).dictionary_encode()
    names, places = compact.named(column.unify_dictionaries())
    assert [names[place] for place in places] == ["b", "a", "a", "c"]


def test_names_by_split_are_what_json_would_write(tmp_path, monkeypatch):
    monkeypatch.setattr(compact, "_ROWS", 3)
    names = [f'{number} "é" \\xff \U0001f600' for number in range(20)]
    split = np.arange(20) % 7 % 3
    compact.write_by_split(tmp_path / "ids.json", pa.chunked_array([names]), split)
    expected = {
        name: [names[row] for row in np.flatnonzero(split == place)] for place, name in enumerate(SPLITS)
    }
    text = json.dumps(expected, indent=2, sort_keys=True) + "\n"
    assert (tmp_path / "ids.json").read_text() == text
