"""The tensors of a split in files of limited size."""

import hashlib

import numpy as np
import pytest

from components.datasets import shards
from components.datasets.shards import SplitWriter
from data import tensor_files

LAYOUT = {"images": (np.uint8, (2, 3)), "labels": (np.int64, ())}


@pytest.mark.parametrize("added", [[12], [1, 7, 4], [5, 5, 2]])
def test_files_hold_all_examples_in_their_order_however_they_come(tmp_path, monkeypatch, added):
    monkeypatch.setattr(shards, "SHARD_BYTES", 5 * 2 * 3)
    images = np.random.default_rng(0).integers(0, 256, (12, 2, 3)).astype(np.uint8)
    labels = np.arange(12)
    writer = SplitWriter(tmp_path, "train", 12, LAYOUT)
    ends = np.cumsum(added)[:-1]
    for of_images, of_labels in zip(np.split(images, ends), np.split(labels, ends), strict=True):
        writer.add({"images": of_images, "labels": of_labels})
    assert writer.close() == {
        "images": hashlib.sha256(images.tobytes()).hexdigest(),
        "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
    }
    found = [tensor_files.maps(file) for file in sorted(tmp_path.iterdir())]
    assert [len(file["labels"]) for file in found] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate([file["images"] for file in found]), images)
    np.testing.assert_array_equal(np.concatenate([file["labels"] for file in found]), labels)
