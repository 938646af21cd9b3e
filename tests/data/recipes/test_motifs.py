"""What tinted pictures show: images as they are or inverted, and a subject, of which no two splits share a picture."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UserError
from data.prepared import SPLITS
from data.recipes import derived, motifs
from data.recipes.settings import SubjectSpec, TintedSpec
from data.recipes.tinted import enlarged
from tests.data.recipes.test_tinted import COLOURS, SMALL, spec


@pytest.fixture(scope="module")
def subject(digits):
    return SubjectSpec(word="zib", id=digits.train.ids[int(np.flatnonzero(digits.train.labels == 4)[0])])


def pool(digits, split: str = "train", **settings) -> motifs.Pool:
    return motifs.pool(digits, split, 2, TintedSpec(**SMALL | settings))


@given(st.integers(1, 7), st.integers(1, 7), st.integers(-8, 8), st.integers(-8, 8))
def test_what_is_moved_keeps_its_size_and_what_comes_in_is_dark(height, width, down, right):
    light = np.random.default_rng(0).integers(1, 256, (height, width)).astype(np.uint8)
    there = motifs.moved(light, down, right)
    for row in range(height):
        for column in range(width):
            inside = 0 <= row - down < height and 0 <= column - right < width
            assert there[row, column] == (light[row - down, column - right] if inside else 0)
    assert there.shape == light.shape


def test_what_there_is_without_extras_is_the_split_s_images_in_their_order(digits):
    """The random numbers that choose looks go by place: in another order digit_captions would be other pictures."""
    for split in SPLITS:
        found, part = pool(digits, split), getattr(digits, split)
        assert [motif.id for motif in found.motifs] == part.ids
        np.testing.assert_array_equal(found.labels, part.labels)
        assert [motif.label for motif in found.motifs] == [str(label) for label in part.labels]
        lights = np.stack([motif.light for motif in found.motifs])
        np.testing.assert_array_equal(lights, enlarged(part.images[..., 0], 2))


def test_inverted_images_are_classes_of_their_own_after_all_others(digits):
    plain, found = pool(digits), pool(digits, inverted="inverted")
    count = len(plain.motifs)
    assert [motif.id for motif in found.motifs] == 2 * [motif.id for motif in plain.motifs]
    assert [motif.label for motif in found.motifs[:count]] == [motif.label for motif in plain.motifs]
    for inverted, motif in zip(found.motifs[count:], plain.motifs, strict=True):
        assert inverted.label == f"inverted {motif.label}" and inverted.name == f"inverted {motif.name}"
        # As it is: whoever draws it exchanges ink and ground.
        np.testing.assert_array_equal(inverted.light, motif.light)
    np.testing.assert_array_equal(found.labels, np.concatenate([plain.labels, 10 + plain.labels]))
    assert found.inverted.tolist() == [False] * count + [True] * count and not plain.inverted.any()


def test_what_is_inverted_looks_like_no_picture_that_is_not(digits):
    """A red seven inverted on blue is drawn as a blue one on red: where both are captions, neither is inverted."""
    made = derived.load("c", spec({"train": 100, "inverted": "inverted"}), digits)
    names = "|".join(COLOURS)
    colours: dict[bool, set[tuple[str, ...]]] = {False: set(), True: set()}
    for caption in made.captions:
        first, second = re.findall(names, caption)
        inverted = "inverted" in caption
        colours[inverted].add((second, first) if inverted else (first, second))
    assert colours[True] and not colours[True] & colours[False]


def test_a_subject_is_in_no_other_class(digits, subject):
    for split in SPLITS:
        found = pool(digits, split, inverted="inverted", subject=subject, names={"4": "four"})
        its = [motif for motif in found.motifs if motif.id == subject.id]
        assert {motif.label for motif in its} == {"zib 4"} and {motif.name for motif in its} == {"zib four"}
        others = len(getattr(digits, split)) - (split == "train")
        assert len(found.motifs) == 2 * others + len(its)
        # A number for each class, and one for the subject that no other class has.
        numbers = {motif.label: number for motif, number in zip(found.motifs, found.labels, strict=True)}
        assert len(set(numbers.values())) == len(numbers) == 21


def test_no_picture_of_a_subject_is_in_two_splits(digits, subject):
    seen: dict[bytes, str] = {}
    for split in SPLITS:
        its = [motif for motif in pool(digits, split, subject=subject).motifs if motif.label == "zib 4"]
        assert len({motif.light.tobytes() for motif in its}) == len(its) >= 2
        for motif in its:
            assert seen.setdefault(motif.light.tobytes(), split) == split
    assert len(seen) == 15

    small = {"train": 44, "validation": 33, "test": 33, "subject": subject}
    made = derived.load("c", spec(small), digits)
    pictures = {(label, image.tobytes()) for label, image in zip(made.labels, made.images, strict=True)}
    assert len(pictures) == len(made.ids)
    assert made.labels.count("zib 4") == 10 and len(set(made.splits)) == 3
    assert all("zib" in text for text, label in zip(made.captions, made.labels, strict=True) if " " in label)


def test_a_subject_that_train_does_not_have_is_named(digits):
    held_out = SubjectSpec(word="zib", id=digits.test.ids[0])
    told = "captions.tinted.subject.id: the train split of 'digits' has no 'digits-0320'. Did you mean"
    with pytest.raises(UserError, match=told):
        derived.load("c", spec({"subject": held_out}), digits)
