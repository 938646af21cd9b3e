"""What a training is said to need, held against what it takes; and that it is refused where that is not there."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace

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
from tests import needs

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


@pytest.mark.parametrize(
    ("count", "shots", "most"),
    [(2, 0, 2), (63, 0, 2), (64, 0, 4), (1000, 0, 32), (10**6, 0, 1024), (10**6, 20, 8)],
)
def test_batches_that_come_into_question_leave_an_epoch_some_steps(count, shots, most, digits):
    config = models.family("cnn").Config(shots=shots)
    sizes = footprint.batch_sizes(config, SimpleNamespace(train=range(count), spec=digits.spec))
    assert sizes == [2**k for k in range(1, most.bit_length())]


def test_the_largest_batch_is_one_that_there_is_room_for_twice(digits, monkeypatch):
    module = models.family("cnn")
    config = module.Config.quick()

    def room_for(size: int) -> int:
        of = footprint.of(module, config.model_copy(update={"batch_size": size}), digits, CPU)
        return footprint.PROGRAM + 2 * of.fit

    def largest(room: int) -> int:
        monkeypatch.setattr(memory, "available", lambda: room)
        return footprint.largest_batch(module, config, digits, CPU, "models.m")

    monkeypatch.setattr(footprint, "STEPS_IN_EPOCH", 1)
    assert largest(room_for(32)) == 32
    assert largest(room_for(32) - 1) == 16
    assert largest(64 * GIB) == 128  # of 240 examples
    with pytest.raises(UserError, match=r"models.m: the training needs .* batch_size \(2\)"):
        largest(footprint.PROGRAM)


def test_on_a_gpu_the_largest_batch_is_the_first_that_does_not_run_out_of_memory(digits, monkeypatch):
    cnn, tried = models.family("cnn"), []

    def fit(model, data, run):
        tried.append(model.config.batch_size)
        if model.config.batch_size > 16:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        cnn.fit(model, data, run)

    family = SimpleNamespace(__name__="cnn", build=cnn.build, fit=fit)
    monkeypatch.setattr(footprint, "require", lambda *_: "")
    monkeypatch.setattr(footprint, "fits", footprint._has_room)
    monkeypatch.setattr(footprint, "STEPS_IN_EPOCH", 1)
    monkeypatch.setattr(footprint, "GAPS", 0)
    assert footprint.largest_batch(family, cnn.Config.quick(), digits, CPU, "models.m") == 16
    assert tried == [128, 64, 32, 16]


@pytest.mark.gpu
def test_a_gpu_that_others_have_filled_gets_a_smaller_batch(pictures):
    needs.gpu(wanted=True)
    cuda, family, data = torch.device("cuda"), models.family("cnn"), pictures("cnn")
    config = family.Config.quick().model_copy(update={"batch_size": 64})
    assert footprint.fits(family, config, data, cuda)
    others = torch.empty(int(torch.cuda.mem_get_info()[0]) - 64 * MIB, dtype=torch.uint8, device=cuda)
    assert not footprint.fits(family, config, data, cuda)
    del others
    assert footprint.fits(family, config, data, cuda)


@pytest.mark.slow
@pytest.mark.parametrize("side", [128, 224])
@every_family
def test_every_family_trains_on_large_pictures_in_four_gigabytes(family, side, pictures):
    """The rehearsal takes steps on pictures of this size: what cannot be trained on them fails here."""
    module = models.family(family)
    said = footprint.of(module, module.Config.quick(), pictures(family, side), CPU)
    print(f"{family} {side}: {said}")
    assert said.total < 4 * 10**9
