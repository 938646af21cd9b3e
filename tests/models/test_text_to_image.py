"""Text to image: both phases, guidance, what a caption and a seed decide, where words look."""

from __future__ import annotations

import dataclasses
import importlib
import math

import numpy as np
import pytest
import torch

from data import captions
from data.errors import UserError
from data.prepared import SPLITS
from models import text_to_image
from models.blocks.pixels import unit
from models.run import Run
from models.settings import configure
from tests.models import tiny

fitting = importlib.import_module("models.text_to_image.fit")  # the package has a function of that name
SMALL = {"autoencoder_widths": (8, 16), "latents": 4, "widths": (16, 24), "text_width": 16, "batch_size": 32}
TRAINED = {"autoencoder_epochs": 16, "widths": (32,), "epochs": 24, "batch_size": 16, "steps": 8}


@pytest.fixture(scope="module")
def trained(digit_captions):
    """Trained for as long as colours need, which come before shapes; and its run."""
    return tiny.fitted("text_to_image", digit_captions, overrides=TRAINED)


@pytest.fixture(scope="module")
def model(trained):
    return trained[0].eval()


@pytest.fixture
def fresh(digit_captions):
    """Not trained, but with random weights also where a network begins with zeros."""
    made = text_to_image.build(tiny.settings("text_to_image", **SMALL), digit_captions.spec).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return made


def tokens(spec, *prompts: str) -> torch.Tensor:
    read = [captions.words(prompt) for prompt in prompts]
    return torch.from_numpy(captions.encode(read, spec.words, spec.longest_caption))


def drawn(model, prompt: torch.Tensor, seed: int) -> np.ndarray:
    with torch.no_grad():
        return text_to_image.graph(model)(prompt, torch.tensor([seed])).numpy()


def test_the_ground_and_the_ink_are_those_that_the_words_say(model, digit_captions):
    asked = [(ink, ground) for ink in tiny.INKS for ground in tiny.GROUNDS]
    prompts = [f"{ink} {number} on {ground}" for ink, ground in asked for number in tiny.NUMBERS]
    images = drawn(model, tokens(digit_captions.spec, *prompts), 3).reshape(4, 10, 8, 8, 3).astype(float)
    for (ink, ground), of_colours in zip(asked, images, strict=True):
        # The left and right columns are ground in nearly every digit.
        seen = np.median(of_colours[:, :, [0, -1]], axis=(0, 1, 2))
        assert np.abs(seen - tiny.GROUNDS[ground]).max() < 40, (ground, seen)
        ratio = of_colours[..., 0].sum() / of_colours[..., 2].sum()
        assert (ratio > 1) == (ink == "red"), (ink, ground, ratio)


def test_an_image_follows_from_its_words_the_seed_and_its_place(model, digit_captions):
    prompt = torch.from_numpy(digit_captions.test.captions[:13].copy())
    whole = drawn(model, prompt, 9)
    np.testing.assert_array_equal(whole, drawn(model, prompt, 9))
    np.testing.assert_allclose(whole[:5].astype(int), drawn(model, prompt[:5], 9), atol=1)
    others = torch.cat([prompt[:4], prompt[:1]])
    np.testing.assert_allclose(drawn(model, others, 9)[:4].astype(int), whole[:4], atol=1)
    assert (drawn(model, prompt, 10) != whole).any()
    twice = drawn(model, prompt[:1].expand(2, -1), 9)
    assert (twice[0] != twice[1]).any()  # each place has noise of its own


def test_a_caption_without_words_is_what_guidance_goes_on_from(fresh):
    mixture, time = torch.randn(3, *fresh.shape), torch.tensor([400])
    prompt = torch.tensor([[3, 4, 5, 0], [6, 0, 0, 0], [2, 3, 4, 5]])
    with torch.no_grad():
        asked, free = fresh.told(prompt)
        with_words, without = fresh(mixture, time, *asked), fresh(mixture, time, *free)
        assert (with_words - without).abs().max() > 1e-4
        for guidance in (0.0, 1.0, 2.5):
            fresh.config = fresh.config.model_copy(update={"guidance": guidance})
            answer = without + guidance * (with_words - without)
            latent = fresh.alpha[400] * mixture - fresh.sigma[400] * answer
            torch.testing.assert_close(fresh.estimate(mixture, time, asked, free), latent)
        empty = fresh.told(torch.zeros_like(prompt))[0]
        torch.testing.assert_close(fresh(mixture, time, *empty), without)


def test_the_length_of_the_padding_does_not_matter(fresh):
    short, long = torch.tensor([[3, 4]]), torch.tensor([[3, 4, 0, 0]])
    encoder = fresh.text
    with torch.no_grad():
        words, padding = encoder(long)
        encoder.places.data = encoder.places[:, :2]
        torch.testing.assert_close(words[:, :3], encoder(short)[0])
    assert padding.tolist() == [[False, False, False, True, True]]


def test_an_unknown_word_is_not_looked_at(fresh):
    with torch.no_grad():
        words, padding = fresh.text(torch.tensor([[3, captions.UNKNOWN, 5, 0], [3, 0, 5, 0]]))
    assert padding.tolist() == 2 * [[False, False, True, False, True]]
    torch.testing.assert_close(words[0, ~padding[0]], words[1, ~padding[1]])


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (9, 14)])
@pytest.mark.parametrize(("widths", "shrunk"), [((4, 8), 2), ((4, 8, 8), 4)])
def test_latents_are_so_much_smaller_and_images_of_any_size_come_back(size, widths, shrunk, digit_captions):
    spec = dataclasses.replace(digit_captions.spec, height=size[0], width=size[1])
    config = tiny.settings("text_to_image", **SMALL | {"autoencoder_widths": widths})
    made = text_to_image.build(config, spec).eval()
    with torch.no_grad():
        latent = made.encode(torch.rand(2, 3, *size))
        assert latent.shape == (2, *made.shape) == (2, 4, -(-size[0] // shrunk), -(-size[1] // shrunk))
        assert made.decode(latent).shape == (2, 3, *size)
    assert drawn(made, torch.tensor([[2, 3, 0, 0]]), 1).shape == (1, *size, 3)


def test_the_autoencoder_gives_images_back(model, digit_captions):
    images = digit_captions.test.images
    off = np.abs(text_to_image.reconstruct(model, images).astype(float) - images).mean()
    assert off < 0.25 * np.abs(images - images.mean(axis=0)).mean()


def test_latents_of_the_train_split_have_variance_one(model, digit_captions):
    with torch.no_grad():
        latents = model.encode(unit(torch.tensor(digit_captions.train.images)))
    torch.testing.assert_close(latents.std(), torch.tensor(1.0), atol=1e-3, rtol=0)


def test_the_history_has_both_phases_and_the_second_leaves_the_autoencoder_alone(digit_captions, monkeypatch):
    kept = {}
    whole = fitting._diffuse

    def diffuse(model, *given):
        kept.update({key: value.clone() for key, value in model.autoencoder.state_dict().items()})
        whole(model, *given)

    monkeypatch.setattr(fitting, "_diffuse", diffuse)
    model, run = tiny.fitted("text_to_image", digit_captions, overrides=SMALL)
    phases = [
        "train_autoencoder_loss" if "train_autoencoder_loss" in row else "train_loss" for row in run.history
    ]
    epochs = model.config.autoencoder_epochs
    assert phases == ["train_autoencoder_loss"] * epochs + ["train_loss"] * model.config.epochs
    for key, value in model.autoencoder.state_dict().items():
        assert torch.equal(value, kept[key]), key
        assert torch.equal(run.outcome.last[f"autoencoder.{key}"], kept[key])


class Stopped(Exception):
    """In place of a kill."""


@pytest.mark.slow  # the contract kills a training of it at a random moment in every run of the tests
@pytest.mark.parametrize("phase", [fitting.AUTOENCODER, fitting.DIFFUSION])
def test_a_training_stopped_in_either_phase_ends_as_if_it_had_not_been(
    phase, digit_captions, tmp_path, monkeypatch
):
    whole, _ = tiny.fitted("text_to_image", digit_captions, overrides=SMALL)
    save = Run.save

    def save_and_stop(run, state):
        save(run, state)
        if run.phase == phase and state["step"] >= 9:
            raise Stopped

    points = {"resume_file": tmp_path / "point.safetensors", "save_seconds": 0.0, "save_share": math.inf}
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Run, "save", save_and_stop)
        tiny.fitted("text_to_image", digit_captions, overrides=SMALL, **points)
    again, _ = tiny.fitted("text_to_image", digit_captions, overrides=SMALL, **points)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_a_word_s_map_is_over_the_image_and_padding_has_none(model, digit_captions):
    prompt = tokens(digit_captions.spec, "red seven on white", "blue two").numpy()
    maps = text_to_image.word_attention(model, prompt, 3)
    assert maps.dtype == np.float32
    assert maps.shape == (2, 4, 8, 8)
    np.testing.assert_allclose(maps[0].max(axis=(1, 2)), 1, rtol=1e-6)
    assert (maps >= 0).all() and not maps[1, 2:].any()
    np.testing.assert_array_equal(maps, text_to_image.word_attention(model, prompt, 3))


def test_every_split_s_captions_are_read(digit_captions):
    for split in SPLITS:
        rows = getattr(digit_captions, split).captions
        assert {int((row > 0).sum()) for row in rows} == {2, 4}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"heads": 7}, "heads: 7 do not divide the width of"),
        ({"text_heads": 7}, "text_heads: 7 do not divide the text_width of"),
        ({"steps": 20, "times": 10}, "steps: 20 are more than the 10 times"),
        ({"autoencoder_widths": [8]}, "autoencoder_widths: "),
        ({"caption_dropout": 0}, "caption_dropout: Input should be greater than 0"),
        ({"caption_drop": 0.1}, "'caption_dropout'"),
    ],
)
def test_impossible_settings_say_why(wrong, message):
    with pytest.raises(UserError, match=message):
        configure(text_to_image.Config, "quick", wrong, "overrides")
