"""Lines: what is in them is what is said to be, whatever their settings, and the same each time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import UserError
from data.recipes import derived, lines
from data.spec import DatasetSpec, LinesSpec
from tests.models import tiny

SHAPES = {"train": 1, "validation": 1, "test": 1}


@st.composite
def line_settings(draw):
    shortest, gap = draw(st.integers(1, 4)), draw(st.integers(-2, 3))
    return LinesSpec(
        **SHAPES,
        shortest=shortest,
        longest=shortest + draw(st.integers(0, 3)),
        gaps=(gap, gap + draw(st.integers(0, 3))),
        seed=draw(st.integers(0, 5)),
    )


@given(line_settings(), st.integers(0, 20), st.integers(0, 3))
@settings(deadline=None)
def test_a_line_holds_its_items_in_order_and_only_known_levels(chosen_settings, number, spare):
    images, _ = tiny.digits()
    shape = (8 + spare, lines.room(chosen_settings, 8) + spare)
    line, chosen = lines.draw(images[:50], shape, chosen_settings, 17, (0, number))
    assert line.dtype == np.uint8 and line.shape == (*shape, 1)
    assert chosen_settings.shortest <= len(chosen) <= chosen_settings.longest
    assert set(np.unique(line)) <= set(np.rint(np.arange(17) * 255 / 16).astype(int))
    # Each item is seen somewhere, no earlier than the one before it: no pixel of it is darker in the line.
    left = -chosen_settings.gaps[0] - 8
    for place in chosen:
        found = [
            x
            for x in range(max(0, left + 8 + chosen_settings.gaps[0]), shape[1] - 7)
            for y in range(shape[0] - 7)
            if (line[y : y + 8, x : x + 8] >= images[place]).all()
        ]
        assert found
        left = min(found)
    again, same = lines.draw(images[:50], shape, chosen_settings, 17, (0, number))
    assert (again == line).all() and (same == chosen).all()
    other, _ = lines.draw(images[:50], shape, chosen_settings, 17, (1, number))
    assert (other != line).any()


def test_clutter_is_fainter_than_a_third():
    ground = np.stack([lines._clutter((12, 40), 256, np.random.default_rng(k)) for k in range(50)])
    assert 0 < ground.max() < 86
    assert (ground == 0).mean() > 0.7


def test_shrinking_is_the_mean_of_each_square():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3)).astype(np.uint8)
    small = lines.shrunk(images, 2)
    assert small.shape == (3, 4, 6, 3)
    expected = np.floor(images[:, 2:4, 4:6].mean(axis=(1, 2)) + 0.5)
    np.testing.assert_array_equal(small[:, 1, 2], expected)


def spec(**changes) -> DatasetSpec:
    values = {
        "source": "derived",
        "from": "digits",
        "recipe": "lines",
        "text": {"symbols": [*"0123456789"]},
        "lines": {"train": 40, "validation": 20, "test": 20},
        "image": {"height": 12, "width": 64, "channels": 1, "levels": 17},
    }
    return DatasetSpec.model_validate(values | changes)


def test_a_line_s_items_are_of_its_own_split_and_its_text_is_their_classes(digits):
    made = derived.load("l", spec(), digits)
    assert made.splits == ["train"] * 40 + ["validation"] * 20 + ["test"] * 20
    assert len(set(made.ids)) == 80
    for source, split, text, label in zip(made.sources, made.splits, made.texts, made.labels, strict=True):
        part = getattr(digits, split)
        items = source.removeprefix("digits: ").split(", ")
        assert text == "".join(str(part.labels[part.ids.index(id)]) for id in items)
        assert label == str(len(items))


def test_only_the_named_classes_are_used_and_separated(digits):
    made = derived.load("l", spec(text={"symbols": ["3", "8"], "separator": " "}), digits)
    assert {symbol for text in made.texts for symbol in text.split(" ")} == {"3", "8"}


def test_a_line_does_not_depend_on_how_many_there_are(digits):
    more = derived.load("l", spec(lines={"train": 50, "validation": 20, "test": 20}), digits)
    assert (more.images[:40] == derived.load("l", spec(), digits).images[:40]).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"text": {"symbols": ["0", "x"]}}, "text.symbols: 'digits' has no class 'x'"),
        (
            {"image": {"height": 12, "width": 60, "channels": 1, "levels": 17}},
            "image.width: 60; a line needs 63",
        ),
        (
            {"image": {"height": 7, "width": 64, "channels": 1, "levels": 17}},
            "image.height: 7; a line needs 8",
        ),
        ({"image": {"height": 12, "width": 64, "channels": 1}}, "image.levels: 256, but .* have 17"),
        (
            {"lines": {"train": 1, "validation": 1, "test": 1, "shrink": 3}},
            "lines.shrink: 3 does not divide .* 8 x 8",
        ),
    ],
)
def test_what_cannot_be_made_is_named(digits, changes, told):
    with pytest.raises(UserError, match=f"data/l/dataset.yaml: {told}"):
        derived.load("l", spec(**changes), digits)


def test_lines_are_made_of_images_of_one_class_each(digits):
    lined = type("Parent", (), {"spec": dataclasses.replace(digits.spec, task="transcription")})
    with pytest.raises(
        UserError, match="'digits' is data for transcription; lines are made of images of one"
    ):
        derived.load("l", spec(), lined)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lines": None}, "recipe lines needs 'lines'"),
        ({"text": {}}, "recipe lines needs .*text.symbols"),
        ({"text": {"symbols": ["0", "0"]}}, "the symbol '0' is there twice"),
        ({"text": {"symbols": ["ab"]}}, "'ab' is no symbol where transcripts are taken apart at a separator"),
        ({"text": {"symbols": ["a, b"], "separator": ", "}}, "'a, b' is no symbol .* the separator ', '"),
        ({"lines": {**SHAPES, "shortest": 4, "longest": 3}}, "from 4 to 3: the first must not be"),
        ({"lines": {**SHAPES, "gaps": [2, 1]}}, "from 2 to 1"),
        (
            {"input_channels": 1},
            "input_channels and text: data is for detection, translation, transcription or",
        ),
    ],
)
def test_settings_that_cannot_be(changes, told):
    with pytest.raises(ValueError, match=told):
        spec(**changes)
