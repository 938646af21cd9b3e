"""The shared loop: its schedule, its epochs, what it keeps and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from data import at_once
from data.errors import UserError
from models.blocks import loop
from models.blocks.loop import Recipe
from models.run import Run


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, x_bchw: torch.Tensor) -> torch.Tensor:
        return self.linear(x_bchw.flatten(1))


def cross_entropy(model, x_bchw, labels):
    return nn.functional.cross_entropy(model(x_bchw), labels)


def train(digits, recipe: Recipe, losses=None, loss=cross_entropy, **run):
    """Train a linear model whose validation gives ``losses`` in turn, or the number of calls."""
    given = iter(losses or range(100000))
    with Run("loop", **run) as training:
        model = Linear()
        loop.train(
            model,
            digits,
            training,
            recipe,
            loss=loss,
            validate=lambda model, split: {"loss": float(next(given))},
        )
    return model, training


@given(steps=st.integers(1, 500), warmup=st.floats(0, 0.99))
def test_the_rate_rises_to_its_height_and_falls_towards_zero(steps, warmup):
    recipe = Recipe(learning_rate=0.1, warmup=warmup)
    rates = [loop.learning_rate(step, steps, recipe) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= 0.1 for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize(
    ("recipe", "steps", "rows"),
    [
        (Recipe(epochs=3, batch_size=100), 6, [2, 4, 6]),  # 240 images: two whole batches an epoch
        (Recipe(epochs=1, batch_size=100, least_steps=5), 5, [2, 4, 5]),  # the last epoch is cut short
        (Recipe(epochs=2, batch_size=1000), 2, [1, 2]),  # fewer images than a batch: all of them
    ],
)
def test_epochs_and_least_steps(digits, recipe, steps, rows):
    _, run = train(digits, recipe)
    assert run.outcome.steps == steps
    assert [row["step"] for row in run.history] == rows


def test_an_epoch_shows_each_image_once_and_every_epoch_another_order(digits):
    shown = []

    def loss(model, x_bchw, labels):
        shown.append(x_bchw.detach().clone())
        return cross_entropy(model, x_bchw, labels)

    train(digits, Recipe(epochs=2, batch_size=60), loss=loss)
    first, second = torch.cat(shown[:4]), torch.cat(shown[4:])
    everything = sorted(map(tuple, (torch.as_tensor(digits.train.images).flatten(1) / 255).tolist()))
    assert sorted(map(tuple, first.flatten(1).tolist())) == everything
    assert sorted(map(tuple, second.flatten(1).tolist())) == everything
    assert not torch.equal(first, second)


def test_the_best_by_validation_is_kept_and_the_last_told_apart(digits):
    recipe = Recipe(epochs=4, batch_size=60)
    model, run = train(digits, recipe, losses=[3.0, 1.0, 2.0, 2.5])
    assert run.outcome.best == {"metric": "validation_loss", "value": 1.0, "step": 8}
    assert not torch.equal(model.linear.weight, run.outcome.last["linear.weight"])


def test_no_gradient_is_left_to_count_in_the_training_of_a_whole_that_the_model_is_a_part_of(digits):
    model, _ = train(digits, Recipe(epochs=1))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_diverging_training_says_what_to_change(digits):
    with pytest.raises(UserError, match=r"loss became nan by step 4.*learning_rate \(now 0.001\)"):
        train(
            digits, Recipe(epochs=1, batch_size=60), loss=lambda *batch: cross_entropy(*batch) * float("nan")
        )


def test_the_fused_optimizer_keeps_its_memory_format_when_resumed(digits, tmp_path):
    class Convolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 10, 3))

        def forward(self, x_bchw: torch.Tensor) -> torch.Tensor:
            return self.layers(x_bchw).mean(dim=(2, 3))

    def stop(model, split):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return {"loss": 1.0 / len(calls)}

    def fit(resume_file):
        with Run("x", resume_file=resume_file, save_seconds=0.0, save_share=math.inf) as run:
            model = Convolution()
            loop.train(model, digits, run, Recipe(epochs=6, batch_size=60), loss=cross_entropy, validate=stop)
        return run.outcome.last

    calls = [1] * 3
    whole = fit(None)
    calls = []
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "point")
    resumed = fit(tmp_path / "point")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


@pytest.mark.parametrize("kernel", [(1, 6, 3), (6, 10, 3), (6, 10, 1)])
def test_a_trained_model_lies_in_memory_as_a_loaded_one(digits, kernel):
    class Convolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(*kernel)

        def forward(self, x_bchw: torch.Tensor) -> torch.Tensor:
            return self.layer(x_bchw.expand(-1, kernel[0], -1, -1)).mean(dim=(2, 3))

    with Run("loop") as training:
        model = Convolution()
        loop.train(
            model,
            digits,
            training,
            Recipe(epochs=1),
            loss=lambda model, x_bchw, _: model(x_bchw).square().mean(),
            validate=lambda *_: {"loss": 0.0},
        )
    loaded = Convolution()
    loaded.load_state_dict(model.state_dict())
    assert model.layer.weight.stride() == loaded.layer.weight.stride()
    # Where the input is not channels-last either, it is the kernel's memory that chooses how it is computed.
    images = torch.rand(5, kernel[0], 8, 8)
    assert torch.equal(model.layer(images), loaded.layer(images))


def test_a_loss_can_ask_how_much_lies_behind(digits):
    seen = []
    with Run("loop") as training:

        def loss(model, x_bchw, labels):
            seen.append(training.done)
            return cross_entropy(model, x_bchw, labels)

        recipe = Recipe(epochs=2, batch_size=120)
        loop.train(Linear(), digits, training, recipe, loss=loss, validate=lambda *_: {"loss": 0.0})
    assert seen == [0, 0.25, 0.5, 0.75]


def test_a_batch_is_of_the_tensors_that_are_named(digit_lines):
    def loss(model, x_bchw, texts):
        assert x_bchw.shape == (80, 1, 10, 44) and texts.shape == (80, 4)
        return model.linear(x_bchw.flatten(1)[:, :64]).square().mean()

    def validate(model, split):
        (batch,) = split.read(torch.arange(80), 80)
        assert (batch[1].numpy() == digit_lines.validation.texts).all()
        return {"loss": 0.0}

    recipe, tensors = Recipe(epochs=1, batch_size=80), ("images", "texts")
    with Run("loop") as training:
        loop.train(Linear(), digit_lines, training, recipe, loss=loss, validate=validate, tensors=tensors)


def test_a_batch_in_parts_takes_the_step_of_the_whole(digits, monkeypatch):
    recipe = Recipe(epochs=2, batch_size=50)
    whole = train(digits, recipe)
    sizes = []

    def counted(model, x_bchw, labels):
        sizes.append(len(x_bchw))
        return cross_entropy(model, x_bchw, labels)

    monkeypatch.setattr(at_once, "pictures", lambda shape, most, *_: min(most, 20))
    parted = train(digits, recipe, loss=counted)
    assert sizes[:3] == [17, 17, 16]
    for ours, theirs in zip(parted[0].parameters(), whole[0].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert parted[1].history[-1]["train_loss"] == pytest.approx(whole[1].history[-1]["train_loss"], rel=1e-4)
