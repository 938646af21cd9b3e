"""Scenes of several items: what lies where, and how much of it is seen."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import UserError
from data.prepared import NO_OBJECT, SPLITS
from data.recipes import derived, scenes
from data.spec import DatasetSpec, ImageSpec
from tests.models import tiny

IMAGE = ImageSpec(height=40, width=56, channels=1)


def spec(**changes) -> DatasetSpec:
    values = {"source": "derived", "from": "digits", "recipe": "scenes", "objects": {"masks": True},
              "scenes": {"train": 6, "validation": 3, "test": 4}, "image": IMAGE.model_dump()}  # fmt: skip
    return DatasetSpec.model_validate(values | changes)


@pytest.fixture(scope="module")
def drawn() -> list[scenes.Scene]:
    items = tiny.digits()[0][:200, :, :, 0]
    return [scenes.draw(np.random.default_rng([7, number]), items, IMAGE) for number in range(150)]


def test_there_are_one_to_six_items_of_varied_size(drawn):
    assert {len(scene.items) for scene in drawn} == set(range(1, 7))
    sides = np.concatenate([scene.boxes[:, 3] - scene.boxes[:, 1] for scene in drawn])
    assert sides.max() >= 2 * np.quantile(sides, 0.05)


def test_each_is_seen_well_enough_and_later_ones_lie_over_earlier_ones(drawn):
    overlapping = 0
    for scene in drawn:
        for number, (x0, y0, x1, y1) in enumerate(scene.boxes, start=1):
            seen = scene.instances == number
            assert seen.any() and not seen[:y0].any() and not seen[y1:].any()
            assert not seen[:, :x0].any() and not seen[:, x1:].any()
            overlapping += (scene.instances[y0:y1, x0:x1] > number).any()
        # Nothing lies over the last item: its box is exactly what is seen.
        rows, columns = np.nonzero(scene.instances == len(scene.items))
        tight = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert tuple(scene.boxes[-1]) == tight
    assert overlapping > 20


def test_an_item_that_would_hide_too_much_is_left_out():
    full = np.full((1, 8, 8), 255, np.uint8)
    for number in range(40):
        scene = scenes.draw(np.random.default_rng(number), full, IMAGE)
        for index, (x0, y0, x1, y1) in enumerate(scene.boxes, start=1):
            assert (scene.instances == index).sum() >= scenes.VISIBLE * (x1 - x0) * (y1 - y0)


def test_items_are_brighter_than_what_they_hide(drawn):
    inked = np.concatenate([scene.image[scene.instances > 0] for scene in drawn])
    ground = np.concatenate([scene.image[scene.instances == 0] for scene in drawn])
    assert inked.mean() > ground.mean() + 20 and ground.max() < 150


def test_the_same_seed_draws_the_same_and_splits_share_no_item(tmp_path):
    parent = tiny.prepare(tmp_path / "digits")
    once, again = derived.load("mine", spec(), parent), derived.load("mine", spec(), parent)
    np.testing.assert_array_equal(once.images, again.images)
    other = derived.load("mine", spec(scenes={"train": 6, "validation": 3, "test": 4, "seed": 1}), parent)
    assert (other.images != once.images).any()
    assert once.splits == ["train"] * 6 + ["validation"] * 3 + ["test"] * 4 and set(once.labels) == {None}
    assert NO_OBJECT == -1
    for id, source, split, objects in zip(once.ids, once.sources, once.splits, once.objects, strict=True):
        part = getattr(parent, split)
        items = [part.ids.index(item) for item in source.removeprefix("digits: ").split(", ")]
        assert id.startswith(split) and objects.categories == tuple(str(part.labels[item]) for item in items)
    assert set(SPLITS) == set(once.splits)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"image": {"height": 40, "width": 40, "channels": 3}},
            "image.channels: 3, but the images of 'digits' have 1",
        ),
    ],
)
def test_what_scenes_cannot_be_made_of(tmp_path, changes, told):
    with pytest.raises(UserError, match=told):
        derived.load("mine", spec(**changes), tiny.prepare(tmp_path / "digits"))


@pytest.mark.parametrize("changes", [{"scenes": None}, {"objects": None}, {"objects": {"masks": False}}])
def test_scenes_without_their_settings_are_refused(changes):
    with pytest.raises(ValueError, match="recipe scenes needs 'scenes'"):
        spec(**changes)
