"""Tinted pictures: of the colours and the class that their captions say, whatever the settings, the same each time."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.captions import words
from data.errors import UserError
from data.image_statistics import grey
from data.recipes import derived, tinted
from data.recipes.edges import edges
from data.recipes.settings import TintedSpec
from data.spec import DatasetSpec
from tests.models import tiny

COLOURS = {
    "red": (230, 60, 50),
    "blue": (30, 50, 170),
    "yellow": (250, 220, 60),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
WORDINGS = ("a {ink} {name} on a {ground} ground", "{name}, {ink} on {ground}")
SMALL = {
    "train": 40,
    "validation": 20,
    "test": 20,
    "inks": COLOURS,
    "grounds": {name: COLOURS[name] for name in ("white", "black", "blue")},
    "names": {"7": "seven"},
    "wordings": WORDINGS,
}


def told(colour) -> int:
    """Return a colour's grey level as Pillow rounds it."""
    return int(grey(np.array(colour, np.uint8)[None, None, None])[0, 0, 0])


@st.composite
def tints(draw):
    """Draw settings with any colours of which one pair at least is told apart."""
    colour = st.tuples(*[st.integers(0, 255)] * 3)
    palette = st.dictionaries(st.sampled_from([*"abcdef"]), colour, min_size=1)
    inks, grounds = draw(palette) | {"ink": (255, 255, 255)}, draw(palette) | {"earth": (0, 0, 0)}
    return TintedSpec(
        **SMALL | {"inks": inks, "grounds": grounds, "names": {}, "seed": draw(st.integers(0, 9))}
    )


@given(tints(), st.integers(0, 500), st.tuples(st.integers(0, 5), st.integers(0, 5)))
@settings(deadline=None)
def test_a_picture_is_what_its_caption_says(chosen, number, spare):
    images, labels = tiny.digits()
    items, labels = tinted.enlarged(images[:100, ..., 0], 2), labels[:100]
    most = tinted.room(labels, np.zeros(100, bool), chosen)
    look = tinted.looks(labels, np.zeros(100, bool), 1 + number % most, chosen, 0)[-1]
    ink, ground = (
        np.array(of[name]) for of, name in ((chosen.inks, look.ink), (chosen.grounds, look.ground))
    )
    assert abs(told(ink) - told(ground)) >= tinted.APART
    item, shape = items[look.item], (16 + spare[0], 16 + spare[1])
    image, caption = tinted.draw(look, item, "name", shape, chosen, (0, number))
    assert caption in {w.format(ink=look.ink, ground=look.ground, name="name") for w in WORDINGS}
    # All of the item is seen: ground where it is black, ink where it is white, a mixture in between; beside it
    # lies nothing but the ground.
    share = 1 - (1 - item[..., None] / 255) ** 2
    expected = np.floor(ink * share + ground * (1 - share) + 0.5)
    found = [
        (top, left)
        for top in range(spare[0] + 1)
        for left in range(spare[1] + 1)
        if np.abs(image[top : top + 16, left : left + 16] - expected).max() <= 1
    ]
    assert image.dtype == np.uint8 and image.shape == (*shape, 3) and found
    top, left = found[0]
    beside = np.ones(shape, bool)
    beside[top : top + 16, left : left + 16] = False
    assert (image[beside] == ground).all()
    again, same = tinted.draw(look, item, "name", shape, chosen, (0, number))
    assert (again == image).all() and same == caption


@given(tints(), st.integers(10, 60), st.integers(0, 2))
@settings(deadline=None, max_examples=30)
def test_classes_take_turns_and_no_two_pictures_are_one(chosen, count, split):
    _, labels = tiny.digits()
    labels, plain = labels[:40], np.zeros(40, bool)
    count = min(count, tinted.room(labels, plain, chosen))
    found = tinted.looks(labels, plain, count, chosen, split)
    assert len(set(found)) == len(found) == count
    assert set(found) <= {tinted.Look(item, *pair) for item in range(40) for pair in tinted.pairs(chosen)}
    counts = np.bincount(labels[[look.item for look in found]], minlength=10)
    assert counts.max() - counts.min() <= 1
    # No image is seen again before all others of its class were.
    uses = np.bincount([look.item for look in found], minlength=40)
    assert all(np.ptp(uses[labels == label]) <= 1 for label in range(10))
    assert tinted.looks(labels, plain, count - 1, chosen, split) == found[:-1]


@pytest.mark.parametrize("inverted", [[False] * 5, [False, True, True, False, True]])
def test_all_looks_that_there_is_room_for_are_different(inverted):
    """Inverted images have those colours only that no picture has the other way round."""
    chosen, labels, inverted = TintedSpec(**SMALL), np.array([0, 1, 1, 0, 1]), np.array(inverted)
    pairs = tinted.pairs(chosen)
    one_way = [pair for pair in pairs if pair[::-1] not in pairs]
    most = tinted.room(labels, inverted, chosen)
    found = tinted.looks(labels, inverted, most, chosen, 0)
    assert most == 2 * min(2 * len(pairs), 3 * len(one_way if inverted.any() else pairs)) == len(set(found))
    assert all((look.ink, look.ground) in one_way for look in found if inverted[look.item])


def test_inverted_ink_and_ground_change_places():
    chosen, item = TintedSpec(**SMALL), np.full((8, 8), 255, np.uint8)
    look = tinted.Look(0, "red", "blue")
    image, *_, caption = tinted.draw(look, item, "seven", (10, 10), chosen, (0, 0))
    swapped, *_, same = tinted.draw(look, item, "seven", (10, 10), chosen, (0, 0), inverted=True)
    red, blue = np.array(COLOURS["red"]), np.array(COLOURS["blue"])
    is_red = (image == red).all(axis=2)
    assert same == caption and is_red.sum() == 64
    np.testing.assert_array_equal(swapped, np.where(is_red[..., None], blue, red))


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(0, 9))
def test_enlarging_is_bilinear(factor, height, width, seed):
    images = np.random.default_rng(seed).integers(0, 256, (2, height, width)).astype(np.uint8)
    large = tinted.enlarged(images, factor)
    assert large.dtype == np.uint8 and large.shape == (2, factor * height, factor * width)
    rows, columns = (
        np.clip((np.arange(factor * size) + 0.5) / factor - 0.5, 0, size - 1) for size in (height, width)
    )
    across = np.array([[np.interp(columns, np.arange(width), row) for row in image] for image in images])
    expected = np.array(
        [[np.interp(rows, np.arange(height), column) for column in image.T] for image in across]
    )
    np.testing.assert_array_equal(large, np.floor(expected.transpose(0, 2, 1) + 0.5 + 1e-9))


def spec(tint=None, **changes) -> DatasetSpec:
    values = {
        "source": "derived",
        "from": "digits",
        "recipe": "captions",
        "captions": {"tinted": SMALL | (tint or {})},
        "image": {"height": 16, "width": 18, "channels": 3},
    }
    return DatasetSpec.model_validate(values | changes)


def test_a_picture_is_of_an_item_of_its_own_split_and_says_its_class(digits):
    made = derived.load("c", spec(), digits)
    assert made.splits == ["train"] * 40 + ["validation"] * 20 + ["test"] * 20
    assert len(set(made.ids)) == len({image.tobytes() for image in made.images}) == 80
    assert made.images.shape == (80, 16, 18, 3)
    for source, split, label, caption in zip(
        made.sources, made.splits, made.labels, made.captions, strict=True
    ):
        part = getattr(digits, split)
        assert label == str(part.labels[part.ids.index(source.removeprefix("digits: "))])
        assert ("seven" if label == "7" else label) in words(caption)


def test_the_same_bits_on_every_machine(digits):
    made = derived.load("c", spec(), digits)
    content = made.images.tobytes() + "\n".join(made.captions).encode()
    assert hashlib.sha256(content).hexdigest()[:16] == "374d8e78811f6549"


def test_a_picture_does_not_depend_on_how_many_there_are(digits):
    more, fewer = derived.load("c", spec({"train": 50}), digits), derived.load("c", spec(), digits)
    assert (more.images[:40] == fewer.images[:40]).all() and more.captions[:40] == fewer.captions[:40]


def test_edge_maps_change_nothing_else_and_tell_next_to_nothing_of_the_colours(digits):
    plain, sketched = (derived.load("c", spec(**changes), digits) for changes in ({}, {"input_channels": 1}))
    assert plain.inputs is None
    np.testing.assert_array_equal(sketched.images, plain.images)
    assert (sketched.captions, sketched.labels, sketched.ids) == (plain.captions, plain.labels, plain.ids)
    np.testing.assert_array_equal(sketched.inputs, edges(grey(plain.images))[..., None])
    assert sketched.inputs.any(axis=(1, 2, 3)).all()

    chosen, items = TintedSpec(**SMALL), tinted.enlarged(digits.train.images[:40, ..., 0], 2)
    of_pair = []
    for pair in tinted.pairs(chosen):
        drawn = [
            tinted.draw(tinted.Look(k, *pair), item, "x", (16, 18), chosen, (0, k))[0]
            for k, item in enumerate(items)
        ]
        of_pair.append(edges(grey(np.stack(drawn))) > 0)
    # Rounding to whole levels of grey moves an edge now and then.
    assert all((maps != of_pair[0]).sum() < 0.05 * of_pair[0].sum() for maps in of_pair)


@pytest.mark.parametrize(
    ("tint", "changes", "told"),
    [
        ({"names": {"seven": "7"}}, {}, "captions.tinted.names: 'digits' has no class 'seven'"),
        ({"inks": {"white": (255, 255, 255), "snow": (250, 250, 250)}, "grounds": {"grey": (202, 202, 202)}}, {},
         "captions.tinted.inks.snow: no ground differs from it by 51 levels"),
        ({"grounds": {"black": (0, 0, 0), "grey": (128, 128, 128)}, "inks": {"dim": (90, 90, 90)}}, {},
         "captions.tinted.grounds.grey: no ink differs from it by 51 levels"),
        ({"test": 10_000}, {}, "captions.tinted.test: 10,000; there are 770 different pictures of its items"),
        ({}, {"image": {"height": 16, "width": 7, "channels": 3}}, "image.width: 7; an item needs 8 at least"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_named(digits, tint, changes, told):
    with pytest.raises(UserError, match=f"data/c/dataset.yaml: {told}"):
        derived.load("c", spec(tint, **changes), digits)


def test_only_grey_images_of_one_class_each_are_tinted(digits):
    def parent(**changes):
        return type("Parent", (), {"spec": dataclasses.replace(digits.spec, **changes)})

    with pytest.raises(UserError, match="from: 'digits' has colours; grey images are tinted"):
        derived.load("c", spec(), parent(channels=3))
    with pytest.raises(UserError, match="data for detection; captions are made of images of one class"):
        derived.load("c", spec(), parent(task="detection"))


@pytest.mark.parametrize(
    ("tint", "changes", "told"),
    [
        ({}, {"captions": None}, "recipe captions needs captions.tinted"),
        ({}, {"captions": {}}, "recipe captions needs captions.tinted"),
        ({}, {"image": {"height": 16, "width": 16, "channels": 1}}, "and image.channels: 3"),
        ({}, {"recipe": "edges", "input_channels": 1}, "captions.tinted is for recipe captions"),
        ({}, {"text": {}}, "text and captions: data is for detection"),
        ({}, {"input_channels": 3}, "has edge maps, which are grey: input_channels: 1"),
        (
            {},
            {"input_channels": 1, "text": {}},
            "input_channels and text and captions: data is for detection",
        ),
        ({"wordings": ["a {ink} {name}"]}, {}, "'a {ink} {name}' must have {ink}, {ground} and {name}"),
        ({"wordings": ["{ink} {ground} {name} {0}"]}, {}, "and no other braces"),
        ({"wordings": ["{ink} {ground} {name"]}, {}, "expected '}'"),
        ({"inks": {"red": (256, 0, 0)}}, {}, "inks.red.0"),
    ],
)
def test_settings_that_cannot_be(tint, changes, told):
    with pytest.raises(ValueError, match=told):
        spec(tint, **changes)
