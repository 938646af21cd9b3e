"""DreamBooth: which pictures it learns from, what it remembers by, what each half of its loss is of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.captions import PADDING, encode, spell
from data.errors import UserError
from data.prepared import PreparedData, Split
from models import checkpoint, dreambooth, text_to_image
from models.blocks import denoising
from models.blocks.pixels import unit
from models.run import Run
from models.text_to_image import teaching
from tests.models import tiny

LESS = {"prior_images": 20, "plain_images": 0, "new_share": 0.5, "images": 10, "batch_size": 8, "epochs": 1}


@pytest.fixture(scope="module")
def base(digit_negatives):
    return checkpoint.load(digit_negatives.folder / "base")


def started(data: PreparedData, **overrides: object) -> teaching.Student:
    """Return a model that has the weights of the base and has learned nothing yet."""
    return tiny.begin("dreambooth", tiny.settings("dreambooth", **LESS | overrides), data)


def taught(data: PreparedData, **overrides: object) -> tuple[teaching.Student, Run]:
    """Return a model after its training, and that."""
    with Run("m") as run:
        model = started(data, **overrides)
        dreambooth.fit(model, data, run)
    return model, run


def changed(data: PreparedData, split: str, places: np.ndarray) -> PreparedData:
    """Return the data with other images at these places of a split."""
    made, part = PreparedData(data.folder), getattr(data, split)
    images = part.images.copy()
    images[places] = 255 - images[places]
    made.__dict__[split] = dataclasses.replace(part, images=images)
    return made


def same(ours: torch.nn.Module, theirs: torch.nn.Module) -> bool:
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def test_before_it_learns_it_draws_what_the_base_draws(digit_negatives, base):
    data = digit_negatives
    model = started(data).eval()
    assert model.known == base.spec.classes
    old = data.test.captions[data.test.labels < 10][:4]
    told = [text.split() for text in spell(old, data.spec.words)]
    asked = torch.from_numpy(encode(told, base.spec.words, base.spec.longest_caption))
    with torch.no_grad():
        ours = dreambooth.graph(model)(torch.from_numpy(old), torch.tensor([3])).numpy().astype(int)
        theirs = text_to_image.graph(base.model)(asked, torch.tensor([3])).numpy()
    assert (
        np.abs(ours - theirs).max() <= 1
    )  # its captions are longer: sums over words are grouped differently


def test_pictures_of_another_size_are_refused(digit_negatives, base):
    other = dataclasses.replace(digit_negatives.spec, height=16)
    with pytest.raises(UserError, match=r"^digit_negatives: its pictures have height 16, .* have 8\.$"):
        dreambooth.start(dreambooth.build(tiny.settings("dreambooth"), other), base)


def test_no_more_pictures_of_what_is_new_than_were_asked_for(digit_negatives):
    data = digit_negatives
    lesson = teaching.lesson(started(data), data, seed=0)
    new, labels = lesson.labels >= 10, dict(zip(data.train.ids, data.train.labels, strict=True))
    ids = {id for id, is_new in zip(lesson.ids, new, strict=True) if is_new}
    # Ten of ten classes: one of each, seen again and again, and as often in all as the prior.
    assert sorted(labels[id] for id in ids) == list(range(10, 20))
    assert new.sum() == (~new).sum() == 20
    for place in np.flatnonzero(new):
        there = data.train.ids.index(lesson.ids[place])
        np.testing.assert_array_equal(lesson.images[place], data.train.images[there])
        np.testing.assert_array_equal(lesson.captions[place], data.train.captions[there])


def test_of_an_epoch_as_large_a_share_is_new_as_was_asked_for(digit_negatives):
    lesson = teaching.lesson(started(digit_negatives, new_share=0.2), digit_negatives, seed=0)
    assert np.bincount(lesson.labels >= 10).tolist() == [20, 10]  # none of the ten is left out
    lesson = teaching.lesson(started(digit_negatives, images=1, new_share=0.2), digit_negatives, seed=0)
    assert np.bincount(lesson.labels >= 10).tolist() == [20, 5]


def test_the_prior_is_what_the_base_draws_of_old_captions(digit_negatives):
    data, model = digit_negatives, started(digit_negatives).eval()
    lesson = teaching.lesson(model, data, seed=7)
    old = lesson.labels < 10
    with torch.no_grad():
        captions = torch.from_numpy(lesson.captions[old])
        drawn = text_to_image.graph(model)(captions, torch.tensor([7])).numpy()
    np.testing.assert_array_equal(lesson.images[old], drawn)
    assert np.bincount(lesson.labels[old]).tolist() == [2] * 10
    np.testing.assert_array_equal(teaching.lesson(model, data, seed=7).images, lesson.images)
    assert (teaching.lesson(model, data, seed=8).images[old] != drawn).any()


def test_of_what_it_is_taught_it_remembers_what_it_drew_without_the_new_word(digit_negatives):
    data, model = digit_negatives, started(digit_negatives, plain_images=15).eval()
    lesson = teaching.lesson(model, data, seed=7)
    assert len(lesson) == 2 * (20 + 15) and (lesson.labels[-15:] == teaching.UNTOLD).all()
    texts = spell(lesson.captions, data.spec.words)
    ours = {text.replace("inverted ", "") for text in texts[:35]}
    assert set(texts[-15:]) == ours and "inverted" not in " ".join(texts[35:])
    with torch.no_grad():
        asked = torch.from_numpy(lesson.captions[35:])
        drawn = text_to_image.graph(model)(asked, torch.tensor([7])).numpy()
    np.testing.assert_array_equal(lesson.images[35:], drawn)


def test_a_prior_is_drawn_in_parts(digit_negatives, monkeypatch):
    model, captions = started(digit_negatives).eval(), digit_negatives.train.captions[:5]
    monkeypatch.setattr(teaching, "CHUNK", 3)
    parts = teaching.draw(model, captions, 7)
    monkeypatch.setattr(teaching, "CHUNK", 2)
    np.testing.assert_array_equal(teaching.draw(model, captions[3:], 8), parts[3:])
    assert parts.shape == (5, *digit_negatives.spec.shape) and parts.dtype == np.uint8


def test_without_a_prior_it_learns_from_the_new_pictures_alone(digit_negatives):
    data = digit_negatives
    lesson = teaching.lesson(started(data, prior_images=0), data, seed=0)
    assert len(lesson) == 10 and (lesson.labels >= 10).all()
    model, _ = taught(data, prior_images=0)
    assert not same(model, started(data))


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=12).map(np.array), st.integers(1, 12), st.integers(0, 9)
)
def test_classes_have_equal_shares_of_what_differs_most(labels, count, seed):
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 2, 2, 1)).astype(np.uint8)
    split = Split(images, labels, [str(place) for place in range(len(labels))])
    chosen = teaching._various(split, np.arange(len(labels)), count)
    assert len(set(chosen.tolist())) == len(chosen) and (np.diff(chosen) > 0).all()
    classes, there = np.unique(labels, return_counts=True)
    for number, (label, most) in enumerate(zip(classes, there, strict=True)):
        share = count // len(classes) + (number < count % len(classes))
        members, of_it = np.flatnonzero(labels == label), chosen[labels[chosen] == label]
        assert len(of_it) == min(share, most)
        if len(of_it) >= 2:  # the first of the class, and the one that is farthest from it
            apart = np.square(images[members].astype(int) - images[members[0]]).sum(axis=(1, 2, 3))
            assert members[0] in of_it and members[apart.argmax()] in of_it


class Stepped:
    """Stands for the loop: keeps the loss that it was given, and trains nothing."""

    def train(self, model, splits, run, recipe, *, loss, **_: object) -> None:
        self.loss = loss


@pytest.fixture
def step(digit_negatives, monkeypatch):
    """Give a loss as it is at the first step: (model, run, images, captions, labels) of new and old rows."""
    loop = Stepped()
    monkeypatch.setattr(teaching.loop, "train", loop.train)
    with Run("m") as run:
        model = started(digit_negatives, plain_images=4)
        dreambooth.fit(model, digit_negatives, run)
        lesson = teaching.lesson(model, digit_negatives, 0)

        def value(rows: np.ndarray) -> torch.Tensor:
            run.generator.manual_seed(3)
            x_bchw = unit(torch.from_numpy(lesson.images[rows]))
            return loop.loss(
                model, x_bchw, torch.from_numpy(lesson.captions[rows]), torch.from_numpy(lesson.labels[rows])
            )

        yield model, run, lesson, value


def test_old_captions_are_answered_as_by_the_model_before(step):
    model, _, lesson, loss = step
    old = np.flatnonzero(lesson.labels < 10)
    assert (lesson.labels[old] == teaching.UNTOLD).sum() == 4
    assert loss(old) == 0  # nothing was learned yet
    with torch.no_grad():
        model.whole.bias += 0.1
    assert loss(old) > 0


def test_new_captions_are_answered_as_by_their_pictures(step):
    model, run, lesson, loss = step
    new = np.flatnonzero(lesson.labels >= 10)[:8]
    found = loss(new)
    run.generator.manual_seed(3)
    torch.rand(8, generator=run.generator)  # drawn for what is hidden, of which new captions are none
    latent = model.encode(unit(torch.from_numpy(lesson.images[new])))
    times, noised = denoising.draw(model, latent, run.generator)
    told = model.text(torch.from_numpy(lesson.captions[new]))
    expected = denoising.errors(model, latent, times, noised, *told).mean()
    torch.testing.assert_close(found, expected)


def test_captions_are_hidden_of_what_is_old_alone(step, monkeypatch):
    model, _, lesson, loss = step
    told = []
    monkeypatch.setattr(teaching, "hidden", lambda captions, share, run: torch.zeros_like(captions))
    read = model.text.forward
    monkeypatch.setattr(model.text, "forward", lambda tokens: told.append(tokens) or read(tokens))
    rows = np.concatenate([np.flatnonzero(lesson.labels < 10)[:4], np.flatnonzero(lesson.labels >= 10)[:4]])
    loss(rows)
    (tokens,) = told
    assert (tokens[:4] == PADDING).all()
    np.testing.assert_array_equal(tokens[4:].numpy(), lesson.captions[rows[4:]])


def test_all_but_the_autoencoder_learns(digit_negatives):
    model, run = taught(digit_negatives, epochs=2)
    before = started(digit_negatives).state_dict()
    for weights in (model.state_dict(), run.outcome.last):
        for name, value in before.items():
            stays = name.startswith("autoencoder.") or name == "scale"
            assert torch.equal(value, weights[name]) == stays, name


def test_validation_changes_no_weight(digit_negatives):
    """The weights are those at the end: no picture of the subject chooses them."""
    data = digit_negatives
    model, run = taught(data, epochs=3)
    assert run.outcome.best["step"] == run.outcome.steps
    everything = np.arange(len(data.validation))
    assert same(taught(changed(data, "validation", everything), epochs=3)[0], model)
