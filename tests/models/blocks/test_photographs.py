"""Changes of single photographs: what is drawn for one follows from seed, epoch and place, whoever makes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from models.blocks import batches, imbalance
from models.blocks.batches import Batches
from models.blocks.photographs import Augmentation
from models.blocks.steps import Steps
from models.run import Run
from tests.models import tiny

CPU = torch.device("cpu")
ALL = Augmentation(crop=0.3, flip=True, jitter=0.4, policy="trivial")


@cache
def picture(channels: int, height: int = 20, width: int = 24) -> Tensor:
    """Return a picture in which no pixel is another's neighbour by chance alone."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, channels, 5, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    return (255 * fine).round().to(torch.uint8).permute(1, 2, 0)


def shown(split, change, *, size: int, threads: int, monkeypatch) -> Tensor:
    """Return the images of an epoch as ``threads`` change them, ``size`` at a time."""
    with ThreadPoolExecutor(threads) as pool:
        monkeypatch.setattr(batches, "_pool", lambda: pool)
        monkeypatch.setattr(batches, "READERS", threads)
        read = Batches(split, CPU).read(torch.arange(60), size, change)
        return torch.cat([images for images, _ in read])


@pytest.mark.parametrize(("size", "threads"), [(1, 1), (7, 3), (60, 8)])
def test_neither_threads_nor_the_size_of_batches_change_a_picture(digits, size, threads, monkeypatch):
    change = ALL.change(8, 8)

    def at(image: Tensor, place: int) -> Tensor:
        return change(image, batches.generator(0, place))

    found = shown(digits.train, at, size=size, threads=threads, monkeypatch=monkeypatch)
    images = torch.tensor(digits.train.images[:60])
    assert torch.equal(found, torch.stack([at(image, place) for place, image in enumerate(images)]))
    assert not torch.equal(found, images)


def test_an_epoch_that_is_taken_up_again_goes_on_as_it_would_have(digits):
    def taken(done: int) -> list[Tensor]:
        with Run("steps", seed=4) as run:
            steps = Steps(tiny.settings("mlp", epochs=2, batch_size=50, least_steps=1), run, 240)
            steps.done, found = done, []
            for images, _ in steps.batches(Batches(digits.train, CPU), change=ALL.change(8, 8)):
                found.append(images)
                steps.done += 1
        return found

    whole = taken(0)
    assert len(whole) == 8
    for done in (1, 4, 6):
        assert all(map(torch.equal, taken(done), whole[done:]))


def test_an_example_that_comes_again_in_an_epoch_is_changed_otherwise(digits):
    labels = np.where(digits.train.labels == 3, 1, 0)
    with Run("steps") as run:
        steps = Steps(tiny.settings("mlp", epochs=1, batch_size=240, least_steps=1), run, 240)
        ((images, _),) = _one(steps, digits, lambda *_: imbalance.order(labels, 0, 0))
    order = imbalance.order(labels, 0, 0)
    first, second = (order == order.mode().values).nonzero().flatten()[:2]
    assert not torch.equal(images[first], images[second])


def _one(steps: Steps, data, order) -> list[tuple[Tensor, ...]]:
    """Return the only batch of a training of one step."""
    for batch in steps.batches(Batches(data.train, CPU), order, ALL.change(8, 8)):
        steps.done += 1
        return [batch]
    return []


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(crop=0.3),
        Augmentation(flip=True),
        Augmentation(jitter=0.5),
        Augmentation(policy="trivial"),
        Augmentation(policy="random"),
        ALL,
    ],
)
def test_its_generator_alone_says_what_is_drawn(augmentation, channels):
    change, image = augmentation.change(20, 24), picture(channels)
    with Run("change"):  # in which operations without a fixed result are refused
        before = torch.get_rng_state()
        once = [change(image, batches.generator(k)) for k in range(80)]
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(7)
        again = [change(image, batches.generator(k)) for k in range(80)]
    assert all(map(torch.equal, once, again))
    assert {tuple(found.shape) for found in once} == {(20, 24, channels)}
    assert {found.dtype for found in once} == {torch.uint8}
    assert len({found.numpy().tobytes() for found in once}) > (1 if augmentation.flip else 20)


def test_a_flip_mirrors_half_of_the_pictures():
    change, image = Augmentation(flip=True).change(20, 24), picture(3)
    found = [change(image, batches.generator(k)) for k in range(100)]
    mirrored = sum(torch.equal(one, image.flip(1)) for one in found)
    assert mirrored + sum(torch.equal(one, image) for one in found) == 100
    assert 30 < mirrored < 70


def test_a_crop_keeps_as_much_as_is_asked_for():
    """Of a ramp from left to right, a part is as steep as it is narrow."""
    ramp = torch.linspace(0, 240, 60).round().to(torch.uint8).expand(40, 60)[..., None]
    change = Augmentation(crop=0.5).change(40, 60)
    found = [change(ramp, batches.generator(k)).float() for k in range(50)]
    kept = np.array([float(one.max() - one.min()) / 240 for one in found])
    # The sides of half of the picture, of at most four thirds of its aspect.
    assert np.sqrt(0.5 * 3 / 4) - 0.05 < kept.min() < 0.8
    assert kept.max() > 0.9
