"""Where parts end, and that they stay where they are."""

import hashlib

import numpy as np
import pytest

from components.datasets import manifest, parts
from components.datasets.parts import PartWriter


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(parts, "MEAN_ROWS", 8)
    monkeypatch.setattr(parts, "MOST_ROWS", 40)


def contents(count: int, size: int = 20) -> list[bytes]:
    return [np.random.default_rng(number).bytes(size) for number in range(count)]


def example(number: int, content: bytes | None) -> dict:
    sha256 = None if content is None else hashlib.sha256(content).hexdigest()
    return {"id": f"{number:04d}", "source": "", "split": "", "label": "a", "bytes": 20, "sha256": sha256}


def write(folder, those: list[bytes | None]) -> list[parts.Part]:
    folder.mkdir()
    writer = PartWriter(folder)
    for number, content in enumerate(those):
        writer.add(example(number, content), content)
    writer.close()
    return writer.parts


def names(folder) -> dict[str, set[str]]:
    return {kind: {file.name for file in (folder / kind).iterdir()} for kind in ("manifest", "images")}


def test_contents_come_back_in_the_order_of_ids(tmp_path):
    those = contents(100)
    those[7] = None
    written = write(tmp_path / "a", those)
    assert sum(part.count for part in written) == 100 and len(written) > 5
    found = list(manifest.Contents(tmp_path / "a"))
    assert found == those
    rows = manifest.read(tmp_path / "a")
    assert rows["id"].is_monotonic_increasing and rows["shard"].isna().tolist() == [
        one is None for one in those
    ]


def test_new_examples_leave_all_but_the_last_part_as_they_are(tmp_path):
    before = write(tmp_path / "a", contents(300))
    after = write(tmp_path / "b", contents(310))
    assert after[: len(before) - 1] == before[:-1]


def test_a_deletion_moves_no_part_but_its_own(tmp_path):
    those = contents(300)
    write(tmp_path / "a", those)
    (tmp_path / "b").mkdir()
    writer = PartWriter(tmp_path / "b")
    for number, content in enumerate(those):
        if number != 150:
            writer.add(example(number, content), content)
    writer.close()
    before, after = names(tmp_path / "a"), names(tmp_path / "b")
    for kind in before:
        assert 1 <= len(after[kind] - before[kind]) <= 2


@pytest.mark.parametrize("content", [None, b"all the same"])
def test_a_part_ends_whatever_is_in_it(tmp_path, content):
    written = write(tmp_path / "a", [content] * 100)
    assert max(part.count for part in written) <= 40


def test_large_examples_are_alone_sooner(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "MEAN_BYTES", 1 << 20)
    small, large = (write(tmp_path / name, contents(60, size)) for name, size in (("a", 20), ("b", 1 << 20)))
    assert len(small) < 30 and len(large) == 60


def test_no_example_is_a_manifest_too(tmp_path):
    write(tmp_path / "a", [])
    assert len(manifest.read(tmp_path / "a")) == 0
