"""What a model is made from, as its ``dvc.lock`` has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from data.errors import UserError
from flows.collection import references

BUNDLE = Path("artifacts/bundles/m")


def oid(number: int, *, folder: bool = True) -> str:
    return f"{number:032x}" + (".dir" if folder else "")


def entry(path: str, number: int) -> dict:
    return {"path": path, "hash": "md5", "md5": oid(number), "size": 1}


LOCK = {
    "ingest@a": {"cmd": "c", "outs": [entry("artifacts/data/a/ingest", 1)]},
    "prepare@a": {
        "cmd": "c",
        "deps": [entry("artifacts/data/a/ingest/manifest", 2)],
        "outs": [entry("artifacts/data/a/prepared", 3)],
    },
    "train@m": {
        "cmd": "c",
        "deps": [entry("artifacts/data", 4), entry("code.py", 5)],
        "outs": [entry("artifacts/models/m/train", 6)],
    },
    "export@m": {
        "cmd": "c",
        "deps": [entry("artifacts/models/m/train", 6)],
        "outs": [entry("artifacts/bundles/m", 7)],
    },
    "export@mm": {
        "cmd": "c",
        "deps": [entry("artifacts/models/mm/train", 8)],
        "outs": [entry("artifacts/bundles/mm", 9)],
    },
}


@pytest.mark.parametrize("order", [list(LOCK), list(reversed(LOCK))])
def test_all_that_it_is_made_from_and_nothing_else(order):
    as_dvc_writes = yaml.safe_dump(
        {"schema": "2.0", "stages": {name: LOCK[name] for name in order}}, sort_keys=False
    )
    assert as_dvc_writes.startswith(references._HEAD)
    otherwise = "# by hand\n" + as_dvc_writes
    for lock in (as_dvc_writes, otherwise):
        assert references.made_into(BUNDLE, lock) == {oid(number) for number in range(1, 8)}


def test_of_what_no_stage_makes_everything_is_kept():
    lock = yaml.safe_dump({"schema": "2.0", "stages": LOCK}, sort_keys=False)
    assert references.made_into(Path("artifacts/bundles/none"), lock) == {
        oid(number) for number in range(1, 10)
    }


def test_names_are_found_however_they_are_written():
    assert references.all_of(f"- md5: '{oid(1, folder=False)}'\n- md5: {oid(2)}\nsha256: {'a' * 64}\n") == {
        oid(1, folder=False),
        oid(2),
    }


def test_a_lock_that_is_cut_short_is_told():
    with pytest.raises(UserError, match=r"dvc\.lock cannot be read"):
        references.made_into(BUNDLE, "schema: '2.0'\nstages:\n  export@m:\n    outs: [")
