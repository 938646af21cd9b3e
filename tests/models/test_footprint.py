"""What a training is said to need, held against what it takes; and that it is refused where that is not there."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch

import models
from benchmarks import memory_data
from data import memory
from data.errors import UserError
from data.prepared import PreparedData
from models import footprint
from models.footprint import Held, Rehearsal
from models.registry import FAMILIES

CPU = torch.device("cpu")
MIB, GIB = 2**20, 2**30
SIDE = 64
KINDS = {"density": "classification", "generation": "classification", "segmentation": "detection"}
"""What data a task's families learn from, where it is not called like the task."""

every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Give a function from a family and a side to coloured pictures of that size, for its task."""
    made = {}

    def of(family: str, side: int = SIDE) -> PreparedData:
        task = models.family(family).TASK
        kind = KINDS.get(task, task)
        if (kind, side) not in made:
            folder = tmp_path_factory.mktemp("pictures") / "prepared"
            memory_data.write(folder, "pictures", kind, side)
            made[kind, side] = PreparedData(folder)
        return made[kind, side]

    return of


def taken(family: str, data: PreparedData) -> int:
    """Return the bytes of all tensors that are there at one time in two steps of a whole batch, or in a short fit."""
    module = models.family(family)
    short = {"iterations": 2} if "iterations" in module.Config.model_fields else {}
    config = module.Config.quick().model_copy(update=short)
    with Rehearsal(family, CPU) as run, Held() as held, suppress(Rehearsal.Over):
        if hasattr(module, "footprint"):
            run.progress = lambda *_, **__: None  # to the end
        module.fit(module.build(config, data.spec), data, run)
    return held.peak


@every_family
def test_what_is_said_is_what_is_taken(family, pictures):
    module, data = models.family(family), pictures(family)
    said = footprint.of(module, module.Config.quick(), data, CPU)
    assert said.program == footprint.PROGRAM
    # What starts from another's weights is said to need what that one does.
    measured = taken(getattr(module, "BASE", family), data)
    assert measured / 2 - 20 * MIB < said.fit < 2 * measured + 20 * MIB


@every_family
def test_more_than_there_is_is_refused(family, pictures, monkeypatch):
    module, data = models.family(family), pictures(family)
    config = module.Config.quick()
    monkeypatch.setattr(memory, "available", lambda: 300 * 10**6)
    with pytest.raises(UserError) as refused:
        footprint.require(module, config, data, CPU, "params.yaml: models.m")
    told = str(refused.value)
    assert told.startswith("params.yaml: models.m: the training needs about ")
    assert "; 0.3 GB are free. Make image.height" in told
    assert "image.height and image.width in data/pictures/dataset.yaml" in told
    assert "(64 x 64)" in told


def test_weights_that_do_not_fit_are_not_made(pictures, monkeypatch):
    """A layer of 12,288 x 10 million weights would take 500 GB."""
    module, data = models.family("mlp"), pictures("mlp")
    monkeypatch.setattr(memory, "available", lambda: 8 * GIB)
    config = module.Config.quick().model_copy(update={"widths": (10_000_000,)})
    with pytest.raises(UserError, match=r"widths \(\(10000000,\)\)"):
        footprint.require(module, config, data, CPU, "params.yaml: models.m")


@pytest.mark.parametrize(
    ("family", "side", "says"),
    [
        ("cnn", 64, "m.overrides.batch_size: 64 -> 32: "),
        ("cnn", 224, "m.overrides.batch_size: 64 -> 6: "),  # which is computed on 13 at a time
        ("svm", 64, "m: "),
    ],
)
def test_a_gpu_without_room_is_told_with_what_to_change(family, side, says, pictures):
    config = models.family(family).Config.quick()
    with (
        pytest.raises(UserError, match=f"^models.{says}.*image.height"),
        footprint.advice(config, pictures(family, side), "models.m"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_what_there_is_room_for_is_told(pictures, monkeypatch):
    module, data = models.family("cnn"), pictures("cnn")
    monkeypatch.setattr(memory, "available", lambda: 8 * 10**9)
    line = footprint.require(module, module.Config.quick(), data, CPU, "params.yaml: models.m")
    assert line.startswith("about ")
    assert line.endswith("; 8.0 GB are free")


@pytest.mark.slow
@pytest.mark.parametrize("side", [128, 224])
@every_family
def test_every_family_trains_on_large_pictures_in_four_gigabytes(family, side, pictures):
    """The rehearsal takes steps on pictures of this size: what cannot be trained on them fails here."""
    module = models.family(family)
    said = footprint.of(module, module.Config.quick(), pictures(family, side), CPU)
    print(f"{family} {side}: {said}")
    assert said.total < 4 * 10**9
