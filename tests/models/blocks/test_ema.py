"""The moving average follows its formula and goes on exactly."""

from __future__ import annotations

import torch
from torch import nn

from models.blocks.ema import EMA


def trained(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model(torch.randn(8, 3))
    return model


def test_average_follows_the_formula():
    model = trained(0)
    ema = EMA(model, decay=0.5)
    weight = model[0].weight.detach().clone()
    for step in range(1, 8):
        model.load_state_dict(trained(step).state_dict())
        ema.update()
        keep = min(0.5, (1 + step) / (10 + step))
        weight = keep * weight + (1 - keep) * model[0].weight.detach()
    torch.testing.assert_close(ema.average[0].weight, weight)


def test_statistics_are_averaged_and_counters_copied():
    model = trained(0)
    ema = EMA(model, decay=0.9)
    model.load_state_dict(trained(1).state_dict())
    model[1].num_batches_tracked.fill_(41)
    ema.update()
    assert int(ema.average[1].num_batches_tracked) == 41
    assert not torch.equal(ema.average[1].running_mean, model[1].running_mean)


def test_the_average_is_apart_from_the_model():
    model = trained(0)
    ema = EMA(model, decay=0.9)
    with torch.no_grad():
        model[0].weight.add_(1)
    assert not torch.equal(ema.average[0].weight, model[0].weight)
    assert not any(parameter.requires_grad for parameter in ema.average.parameters())
    assert not ema.average.training


def test_restored_average_goes_on_exactly():
    model = trained(0)
    whole = EMA(model, decay=0.9)
    model.load_state_dict(trained(1).state_dict())
    whole.update()
    later = EMA(model, decay=0.9)
    later.load_state_dict(whole.state_dict())
    model.load_state_dict(trained(2).state_dict())
    for ema in (whole, later):
        ema.update()
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.average.state_dict().values(), later.average.state_dict().values(), strict=True)
    )
