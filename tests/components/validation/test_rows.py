import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.datasets import arrow, manifest
from components.datasets.manifest import SCHEMA
from components.validation import expectations, rows
from components.validation.suite import Suite
from data.errors import UserError
from data.spec import Splits

RANKED = Splits(by="class")


@pytest.fixture(params=["readable", "damaged"])
def folder(request, tmp_path):
    """Return an ``ingest`` folder of 300 examples: some twice, some nearly, and maybe two that cannot be read."""
    random = np.random.default_rng(0)
    (tmp_path / "manifest").mkdir()
    for part in range(3):
        found = []
        for number in range(100 * part, 100 * part + 100):
            content = str(int(random.integers(200)))
            found.append(
                {
                    "id": f"{number:03d}",
                    "source": "x",
                    "split": "",
                    "label": "ab"[number % 2],
                    "width": 64,
                    "height": 60 + number % 5,
                    "mode": "RGB",
                    "format": "JPEG",
                    "bytes": 1,
                    "sha256": hashlib.sha256(content.encode()).hexdigest(),
                    "phash": f"{int(content) % 20:016x}",
                    "decodes": True,
                    "brightness": 0.5,
                    "contrast": 0.25,
                    "sharpness": 0.1,
                }
            )
        if part != 1 and request.param == "damaged":
            found[7] |= dict.fromkeys(("sha256", "phash", "width", "height", "mode", "format"))
            found[7] |= {"decodes": False, "error": "cannot be read"}
        pq.write_table(arrow.table(found, SCHEMA), tmp_path / f"manifest/{part}.parquet")
    return tmp_path


def test_what_nothing_asks_for_is_not_read(folder):
    found = rows.read(folder, (), RANKED)
    assert list(found["id"]) == list(manifest.read(folder)["id"])
    assert not {"source", "bytes", "shard", "row", "decodes"} & {*found.columns}
    assert found["mode"].dtype == "category" and found["label"].dtype == "str"
    whole = manifest.read(folder)
    asked = ({"type": "expect_column_values_to_be_unique", "column": "sha256"}, {"row_condition": "bytes>0"})
    found = rows.read(folder, asked, RANKED)
    assert found["sha256"].equals(whole["sha256"]) and found["bytes"].equals(whole["bytes"])
    found = rows.read(folder, ({"type": "expect_table_column_count_to_equal", "value": 18},), RANKED)
    assert found.astype({"decodes": bool}).equals(whole[list(found.columns)])
    assert list(found.columns) == list(whole.columns)


def test_a_hash_is_a_number_that_sorts_and_equals_as_it_does(folder):
    found, whole = rows.read(folder, (), RANKED), manifest.read(folder)
    texts = whole["sha256"].dropna()
    expected = np.unique(texts, return_inverse=True)[1]
    assert found["sha256"].isna().sum() == whole["sha256"].isna().sum()
    np.testing.assert_array_equal(found["sha256"].dropna().to_numpy(np.int64), expected)
    assert [f"{int(one):016x}" for one in found["phash"].dropna()] == list(whole["phash"].dropna())


@pytest.mark.parametrize("by", ["class", "content"])
def test_tables_are_those_of_the_whole_manifest(folder, by):
    splits = Splits(by=by, validation=0.2, test=0.2)
    suite = Suite.model_validate({"general": {"near_duplicates": {"distance": 2}}})
    lean, whole = (
        expectations.tables(one, suite, splits)
        for one in (rows.read(folder, (), splits), manifest.read(folder))
    )
    assert lean["classes"].equals(whole["classes"])
    named = ("same_as", "near_in_another_split", "same_in_another_split", "split_used", "side")
    for name in named:
        assert lean["examples"][name].astype(object).equals(whole["examples"][name].astype(object))
    assert lean["examples"]["same_as"].notna().sum() > 50
    assert lean["examples"]["near_in_another_split"].notna().any()


def test_great_expectations_gets_the_columns_that_are_asked_for_alone(folder):
    suite = Suite()
    tables = expectations.tables(rows.read(folder, (), RANKED), suite, RANKED)
    asked = expectations.general(suite, rows.read(folder, (), RANKED))
    found = expectations.narrowed(tables, asked)
    assert {"id", "label", "error", "side"} <= {*found["examples"].columns}
    assert not {"sha256", "phash", "brightness", "split_used"} & {*found["examples"].columns}
    assert {"class", "train"} <= {*found["classes"].columns}


def test_without_a_manifest_the_message_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match="Run the ingest stage first"):
        rows.read(tmp_path, (), RANKED)
