"""dvc.lock taken apart into the lines of its stages, and put together again."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.utils.serialize import modify_yaml

from components.project import dvc_lock

LONG = "python -m components.train " + "--a-long-option and-its-value " * 9


def _entry(command: str, **params: object) -> dict:
    dep, out = (
        {"path": path, "hash": "md5", "md5": "0123", "size": 7, "nfiles": 2}
        for path in ("in", f"out-{len(command)}")
    )
    return {"cmd": command, "deps": [dep], "params": {"params.yaml": params}, "outs": [out]}


ENTRIES = {
    "ingest@digits": _entry("python -m components.ingest digits", seed=0),
    "train@a-b_c": _entry(LONG, text="two\n\nlines  \n", empty={}, number=1e-5, word="no", digits="012"),
    "train_fine_tuned@a-b_c": _entry("other", seed=1),
    "plain": _entry("first\nsecond", names=["a", {"b": [1, None, True]}], tail=" #: - "),
}


@pytest.fixture
def lock(tmp_path, monkeypatch) -> Path:
    """A dvc.lock of :data:`ENTRIES`, as DVC writes it."""
    monkeypatch.chdir(tmp_path)
    for name, entry in ENTRIES.items():
        _record(name, entry)
    return dvc_lock.FILE


def _record(name: str, entry: dict) -> None:
    """Do what DVC does to its file."""
    with modify_yaml(str(dvc_lock.FILE)) as data:
        data.setdefault("schema", "2.0")
        data["stages"] = data.get("stages", {})
        data["stages"].update({name: entry})


def test_what_is_taken_apart_is_put_together_as_it_was(lock):
    entries = dvc_lock.split(lock.read_text())
    assert list(entries) == list(ENTRIES)
    assert dvc_lock.join(entries) == lock.read_text()


@pytest.mark.parametrize("name", [*ENTRIES, "another"])
def test_lines_put_in_are_what_dvc_writes(lock, tmp_path, monkeypatch, name):
    before = dvc_lock.split(lock.read_text())
    _record(name, _entry("changed", seed=2))
    written = lock.read_text()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    _record(name, _entry("changed", seed=2))
    assert dvc_lock.join(before | dvc_lock.split(lock.read_text())) == written


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "",
        lambda text: text.removeprefix("schema: '2.0'\n"),
        lambda text: text + "datasets: []\n",
        lambda text: text + "# a note\n",
        lambda text: text + "  # a note\n",
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace("  plain:\n", "<<<<<<< HEAD\n  plain:\n"),
        lambda text: text.replace("  plain:\n", "  'plain':\n"),
        lambda text: text.replace("  plain:\n", "  ingest@digits:\n"),
        lambda text: text.replace("seed: 0", "seed: &id001 0"),
        lambda text: text + "  empty: {}\n",
        lambda text: text.replace("stages:\n", "stages:\n    more:\n"),
    ],
)
def test_another_text_is_left_alone(lock, edit):
    with pytest.raises(dvc_lock.NotAsWritten):
        dvc_lock.split(edit(lock.read_text()))


def test_an_item_s_outs_are_read_whoever_wrote_the_file(lock):
    expected = {f"out-{len(command)}": "0123" for command in (LONG, "other")}
    assert dvc_lock.outs("a-b_c") == expected
    lock.write_text(f"# a note\n{lock.read_text()}")
    assert dvc_lock.outs("a-b_c") == expected
    lock.unlink()
    assert dvc_lock.outs("a-b_c") == {}
