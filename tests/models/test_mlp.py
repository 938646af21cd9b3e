"""The neural network: its losses and gradients by hand, and what it reaches on the digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from data.errors import UserError
from models import mlp
from models.mlp.fit import LOSSES
from models.mlp.network import ACTIVATIONS
from models.settings import configure


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_backpropagation_is_the_chain_rule(digits, activation):
    """One hidden layer, cross-entropy: every gradient from the textbook (Rumelhart et al. 1986)."""
    torch.manual_seed(0)
    model = mlp.build(mlp.Config(widths=(7,), activation=activation, dropout=0), digits.spec).double()
    x = torch.rand(5, 1, 8, 8, dtype=torch.float64)
    labels = torch.tensor([3, 1, 4, 1, 5])
    LOSSES["cross_entropy"](model(x), labels).backward()
    first, second = model.layers[0], model.layers[3]
    pixels = model.standardise(x).flatten(1).numpy()
    before = pixels @ first.weight.detach().numpy().T + first.bias.detach().numpy()
    hidden, slope = {
        "tanh": (np.tanh(before), 1 - np.tanh(before) ** 2),
        "sigmoid": (1 / (1 + np.exp(-before)), np.exp(-before) / (1 + np.exp(-before)) ** 2),
        "relu": (np.maximum(before, 0), (before > 0).astype(float)),
    }[activation]
    logits = hidden @ second.weight.detach().numpy().T + second.bias.detach().numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    at_output = (probabilities - np.eye(10)[labels]) / 5
    at_hidden = at_output @ second.weight.detach().numpy() * slope
    for parameter, expected in (
        (second.weight, at_output.T @ hidden),
        (second.bias, at_output.sum(axis=0)),
        (first.weight, at_hidden.T @ pixels),
        (first.bias, at_hidden.sum(axis=0)),
    ):
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-9, atol=1e-12)


def test_losses_are_what_their_names_say():
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 4), torch.tensor([0, 3, 1, 1, 2, 0])
    probabilities, right = logits.softmax(dim=1), torch.eye(4)[labels]
    torch.testing.assert_close(
        LOSSES["cross_entropy"](logits, labels), -probabilities[range(6), labels].log().mean()
    )
    torch.testing.assert_close(LOSSES["mse"](logits, labels), (probabilities - right).square().sum() / 6)
    lacking = (1 - logits[range(6), labels][:, None] + logits).clamp(min=0) * (1 - right)
    torch.testing.assert_close(LOSSES["multi_margin"](logits, labels), lacking.sum(dim=1).mean() / 4)
    for loss in LOSSES.values():
        torch.testing.assert_close(loss(logits, labels, reduction="none").mean(), loss(logits, labels))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_learns_with_every_activation_and_loss(digits, activation, loss):
    torch.manual_seed(0)
    model = mlp.build(mlp.Config(widths=(16,), activation=activation, dropout=0), digits.spec)
    x = torch.from_numpy(digits.train.images).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(digits.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(25):
        value = LOSSES[loss](model(x), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_without_hidden_layers_it_is_linear(digits):
    model = mlp.build(mlp.Config(widths=()), digits.spec)
    assert [type(layer) for layer in model.layers] == [nn.Linear]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"activation": "relo"}, "relu"),
        ({"widths": [64, 0]}, "widths"),
        ({"drop": 0.1}, "dropout"),
    ],
)
def test_a_wrong_setting_is_named(overrides, says):
    with pytest.raises(UserError, match=says):
        configure(mlp.Config, "quick", overrides, "params.yaml: models.m.overrides")
