"""Pictures that stay files teach what their pixels teach, whoever decodes them, and however often it is interrupted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data.encoded import EncodedArray
from data.prepared import PreparedData
from models.blocks import batches
from models.blocks.batches import Batches
from tests.models import tiny, training_process
from tests.models.test_contract import FILES, end, kill

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory, digits) -> PreparedData:
    """The same digits as files."""
    return tiny.encode(tmp_path_factory.mktemp("encoded") / "digits", digits)


def decoded_by(data: PreparedData, workers: int) -> PreparedData:
    """Return ``data``, decoded by as many threads."""
    data = PreparedData(data.folder)
    images = data.train.images
    object.__setattr__(
        data.train, "images", EncodedArray(images._images, images._places, images._frame, workers)
    )
    return data


def test_files_are_the_pixels_that_they_were_made_of(encoded, digits):
    for split in ("train", "validation", "test"):
        images, expected = getattr(encoded, split).images, getattr(digits, split).images
        assert isinstance(images, EncodedArray) and images.shape == expected.shape
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(images[[3, 0, 3]], expected[[3, 0, 3]])


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_batches_are_the_same_with_any_number_of_threads(encoded, digits, workers):
    order = batches.order(len(digits.train), seed=3, epoch=2)
    streamed = Batches(decoded_by(encoded, workers).train, CPU, limit=0).read(order, 50)
    for ours, theirs in zip(streamed, Batches(digits.train, CPU).read(order, 50), strict=True):
        assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize(
    ("family", "overrides"),
    [("mlp", {}), ("gmm", {}), ("cnn", {"augmentation": {"crop": 0.5, "flip": True, "jitter": 0.2}})],
)
def test_a_training_is_the_one_on_pixels(encoded, digits, family, overrides, monkeypatch):
    monkeypatch.setattr(batches, "HELD", 0)
    expected = tiny.fitted(family, digits, overrides=overrides)[0].state_dict()
    found = tiny.fitted(family, decoded_by(encoded, 3), overrides=overrides)[0].state_dict()
    for name, values in expected.items():
        assert torch.equal(found[name], values), name


@pytest.mark.slow  # three processes that import PyTorch
def test_killed_and_started_again_gives_the_same_bytes(encoded, digits, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    undisturbed = start(1, encoded.folder, whole)
    kill(start(3, encoded.folder, killed, saving=True), killed / "point.safetensors", points=3)
    assert end(undisturbed) == 0
    assert end(start(2, encoded.folder, killed)) == 0
    for name in FILES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def start(workers: int, folder: Path, out: Path, saving: bool = False):
    process = training_process.PROCESSES.Process(
        target=_train, args=(workers, folder, out, saving), daemon=True
    )
    process.start()
    return process


def _train(workers: int, folder: Path, out: Path, saving: bool) -> None:
    batches.HELD = 0
    training_process.PreparedData = lambda folder: decoded_by(PreparedData(folder), workers)
    training_process._train("mlp", folder, out, saving)
