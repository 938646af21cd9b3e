"""DreamBooth: what it learns from and what it must not see, the images that it remembers by, the paper's loss."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.captions import FIRST, PADDING, spell
from data.errors import UserError
from data.prepared import PreparedData
from models import checkpoint, dreambooth, text_to_image
from models.dreambooth import prior
from models.run import Run
from tests.models import tiny

fitting = importlib.import_module("models.dreambooth.fit")  # the package has a function of that name
LESS = {"prior_images": 12, "images": 3, "batch_size": 4, "epochs": 1}


@pytest.fixture(scope="module")
def base(digit_outlines):
    return checkpoint.load(digit_outlines.folder / "base")


def started(data: PreparedData, **overrides: object) -> dreambooth.SubjectDiffusion:
    """Return a model that has the weights of the base and has learned nothing yet."""
    return tiny.begin("dreambooth", tiny.settings("dreambooth", **LESS | overrides), data)


def learned(data, **overrides: object) -> dict[str, torch.Tensor]:
    """Return the weights after a training."""
    with Run("m") as run:
        model = started(data, **overrides)
        dreambooth.fit(model, data, run)
    return model.state_dict()


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_is_new_is_what_the_base_did_not_know(digit_outlines, base):
    model, spec = started(digit_outlines), digit_outlines.spec
    assert [spec.classes[label] for label in model.new] == [f"outlined {k}" for k in range(10)]
    assert [spec.words[token - FIRST] for token in model.learned] == ["outlined"]
    assert set(base.spec.words) | {"outlined"} == set(spec.words)


def test_before_it_learns_it_draws_what_the_base_draws(digit_outlines, base):
    model, spec = started(digit_outlines).eval(), digit_outlines.spec
    old = digit_outlines.test.captions[digit_outlines.test.labels < 10][:4]
    theirs = [text.split() for text in spell(old, spec.words)]
    from data.captions import encode

    asked = torch.from_numpy(encode(theirs, base.spec.words, base.spec.longest_caption))
    with torch.no_grad():
        ours = dreambooth.graph(model)(torch.from_numpy(old), torch.tensor([3])).numpy().astype(int)
        expected = text_to_image.graph(base.model)(asked, torch.tensor([3])).numpy()
    assert (
        np.abs(ours - expected).max() <= 1
    )  # padding is left out of the attention: sums are grouped differently


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (tuple("0123456789"), "has all of its classes: there is no subject to learn"),
        (tuple("abcdefghij"), "none of its classes is one of digit_captions"),
    ],
)
def test_without_both_new_and_old_classes_it_does_not_start(digit_outlines, base, classes, told):
    spec = dataclasses.replace(digit_outlines.spec, classes=classes)
    model = dreambooth.build(tiny.settings("dreambooth"), spec)
    with pytest.raises(UserError, match=f"^digit_outlines: .*{told}"):
        dreambooth.start(model, base)


def test_the_pictures_are_spread_evenly_over_those_of_the_subject(digit_outlines):
    new = [
        id
        for id, label in zip(digit_outlines.train.ids, digit_outlines.train.labels, strict=True)
        if label >= 10
    ]
    shown = fitting.subject(started(digit_outlines, images=5), digit_outlines)
    assert shown.ids == [new[len(new) * k // 5] for k in range(5)]
    places = [digit_outlines.train.ids.index(id) for id in shown.ids]
    np.testing.assert_array_equal(shown.images, digit_outlines.train.images[places])
    np.testing.assert_array_equal(shown.captions, digit_outlines.train.captions[places])
    with pytest.raises(
        UserError, match=r"train split has 120 pictures of 'outlined 0', .*, and images is 500\.$"
    ):
        fitting.subject(started(digit_outlines, images=500), digit_outlines)


def test_no_other_picture_of_the_subject_is_looked_at(digit_outlines):
    shown = fitting.subject(started(digit_outlines), digit_outlines).ids
    blind = PreparedData(digit_outlines.folder)
    for name in ("train", "validation", "test"):
        split = getattr(digit_outlines, name)
        images = split.images.copy()
        # Old ones of the validation split choose the best weights; of the train split none is needed.
        seen = np.isin(split.ids, shown) if name == "train" else (split.labels < 10) & (name == "validation")
        images[~seen] = 255 - images[~seen]
        blind.__dict__[name] = dataclasses.replace(split, images=images)
    assert same(learned(blind), learned(digit_outlines))


def test_the_prior_is_what_the_base_draws_of_the_same_captions_without_the_new_word_and_of_old_classes(
    digit_outlines,
):
    data = digit_outlines
    model = started(data).eval()
    shown = fitting.subject(model, data)
    with Run("m", seed=5) as run:
        drawn = prior.draw(model, shown, data.train, run)
    with Run("m", seed=5) as run:
        again = prior.draw(model, shown, data.train, run)
        seed = torch.randint(2**62, (1,), generator=torch.Generator().manual_seed(5))
    np.testing.assert_array_equal(drawn.images, again.images)
    told = spell(drawn.captions, data.spec.words)
    plain = [text.replace("outlined ", "") for text in spell(shown.captions, data.spec.words)]
    assert told[:6] == [plain[0]] * 2 + [plain[1]] * 2 + [plain[2]] * 2
    old = data.train.captions[data.train.labels < 10]
    np.testing.assert_array_equal(drawn.captions[6:], old[np.arange(6) * len(old) // 6])
    with torch.no_grad():
        expected = text_to_image.graph(model)(torch.from_numpy(drawn.captions), seed).numpy()
    np.testing.assert_array_equal(drawn.images, expected)


@given(st.lists(st.lists(st.integers(1, 6), max_size=5), min_size=1, max_size=4), st.sets(st.integers(1, 6)))
def test_what_is_left_of_a_caption_is_in_order_and_without_gaps(captions, taken):
    rows = np.full((len(captions), 5), PADDING)
    for row, caption in zip(rows, captions, strict=True):
        row[: len(caption)] = caption
    for row, caption in zip(prior.without(rows, tuple(taken)), captions, strict=True):
        left = [token for token in caption if token not in taken]
        assert row.tolist() == left + [PADDING] * (5 - len(left))


def test_the_loss_is_equation_2_of_the_paper(digit_outlines, monkeypatch):
    """What is remembered counts by its weight: with none of it, images of anything teach nothing."""
    draw = prior.draw

    def inverted(*arguments):
        split = draw(*arguments)
        return dataclasses.replace(split, images=255 - split.images)

    with_weight, without = learned(digit_outlines), learned(digit_outlines, prior_weight=0.0)
    monkeypatch.setattr(prior, "draw", inverted)
    assert same(learned(digit_outlines, prior_weight=0.0), without)
    assert not same(learned(digit_outlines), with_weight)


def test_all_but_the_autoencoder_learns(digit_outlines):
    before, after = started(digit_outlines).state_dict(), learned(digit_outlines, prior_weight=1.0, epochs=2)
    for name in before:
        changed = not torch.equal(before[name], after[name])
        assert changed != name.startswith(("autoencoder.", "scale")) or name.endswith("places"), name
