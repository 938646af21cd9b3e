"""ControlNet: it begins as the locked model and leaves it as it is; what is trained sees the edge map."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from data.errors import UserError
from models import checkpoint, controlnet, text_to_image
from models.blocks import denoising
from models.blocks.pixels import unit
from models.checkpoint import Checkpoint
from models.settings import configure
from tests.models import tiny

LEVELS = {"autoencoder_widths": (8, 16), "latents": 4, "widths": (16, 24), "text_width": 16, "steps": 4}
SHAPES = [
    LEVELS,
    LEVELS | {"widths": (16,), "depth": 2, "prediction": "epsilon", "guidance": 1.0},
    LEVELS | {"autoencoder_widths": (8, 8, 16), "widths": (8, 12, 16), "attention": 2, "sampler": "ancestral"},
]  # fmt: skip


def a_base(spec, settings) -> Checkpoint:
    """Return a model without training, but with random weights also where a network begins with zeros."""
    config = tiny.settings("text_to_image", **settings)
    made = shaken(text_to_image.build(config, spec).eval(), seed=0)
    return Checkpoint(made, text_to_image, config, spec, seed=0, steps=0, best={})


def shaken(network, seed: int):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def begun(base: Checkpoint, spec):
    guidance = base.config.guidance
    config = tiny.settings("controlnet", guidance=guidance).model_copy(update={"base": base.config})
    model = controlnet.build(config, spec).eval()
    controlnet.start(model, base)
    return model


def drawn(model, data, count: int = 6, edges: np.ndarray | None = None, seed: int = 5) -> np.ndarray:
    maps = torch.from_numpy(data.test.inputs[:count] if edges is None else edges)
    captions = torch.from_numpy(data.test.captions[:count])
    with torch.no_grad():
        return controlnet.graph(model)(maps, captions, torch.tensor([seed])).numpy()


@pytest.fixture(params=SHAPES, ids=["two levels", "one deep level", "three levels"])
def fresh(request, digit_captions, digit_sketches):
    """Give a base, and a ControlNet that has just started from it."""
    base = a_base(digit_captions.spec, request.param)
    return base, begun(base, digit_sketches.spec)


@pytest.fixture(scope="module")
def trained(digit_sketches):
    return tiny.fitted("controlnet", digit_sketches, overrides={"epochs": 3})


def test_at_first_it_is_the_locked_model_bit_for_bit(fresh, digit_sketches):
    base, model = fresh
    torch.manual_seed(0)
    mixture, times = torch.randn(6, *model.shape), torch.arange(6) * 150
    words = model.text(torch.from_numpy(digit_sketches.test.captions[:6]))
    told = controlnet.network.shown(model, torch.from_numpy(digit_sketches.test.inputs[:6]))
    with torch.no_grad():
        locked = base.model(mixture, times, *words)
        assert locked.abs().max() > 0.01
        assert torch.equal(model(mixture, times, *words, *told), locked)
        captions = torch.from_numpy(digit_sketches.test.captions[:6])
        plain = text_to_image.graph(base.model)(captions, torch.tensor([5])).numpy()
    np.testing.assert_array_equal(drawn(model, digit_sketches), plain)


def test_the_copy_starts_from_the_locked_weights_and_shares_none(fresh):
    base, model = fresh
    locked, copied = model.unet.state_dict(), model.control.copy.state_dict()
    assert {name.split(".")[0] for name in copied} == {"stem", "down", "shrink", "middle"} - (
        set() if len(base.config.widths) > 1 else {"shrink"}
    )
    for name, value in copied.items():
        assert torch.equal(value, locked[name]) and torch.equal(
            value, base.model.state_dict()[f"unet.{name}"]
        )
        assert value.data_ptr() != locked[name].data_ptr(), name


def test_what_comes_back_goes_to_every_level_and_the_middle(fresh, digit_sketches):
    base, model = fresh
    before = drawn(model, digit_sketches)
    backs = model.control.back
    assert len(backs) == len(base.config.widths) * base.config.depth + 1
    for back in backs:
        assert not back.weight.any() and not back.bias.any()
        with torch.no_grad():
            back.bias.fill_(2.0)
            assert (drawn(model, digit_sketches) != before).any()
            back.bias.zero_()
    np.testing.assert_array_equal(drawn(model, digit_sketches), before)


def test_training_changes_the_control_alone(trained, digit_sketches):
    model, run = trained
    base = checkpoint.load(digit_sketches.folder / "base")
    begin = begun(base, digit_sketches.spec).state_dict()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, begin[name])}
    assert changed and all(name.startswith("control.") for name in changed)
    assert {name.split(".")[1] for name in changed} == {"copy", "hint", "back"}
    for name, value in base.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
        assert torch.equal(run.outcome.last[name].cpu(), value), name


def test_the_edge_map_decides_once_it_is_trained(trained, digit_sketches):
    model = trained[0].eval()
    shaken(model.control.hint, seed=1)
    shaken(model.control.back, seed=2)
    others = digit_sketches.test.inputs[6:12]
    ours, theirs = drawn(model, digit_sketches), drawn(model, digit_sketches, edges=others)
    assert (ours != theirs).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(drawn(model, digit_sketches), ours)
    assert (drawn(model, digit_sketches, seed=6) != ours).any()
    np.testing.assert_allclose(drawn(model, digit_sketches, 3).astype(int), ours[:3], atol=1)


def test_guidance_leads_away_from_what_the_locked_model_answers_to_nothing(trained, digit_sketches):
    model = trained[0].eval()
    shaken(model.control, seed=3)
    mixture, time = torch.randn(3, *model.shape), torch.tensor([400])
    with torch.no_grad():
        asked, free = model.told(torch.from_numpy(digit_sketches.test.captions[:3]))
        hint, strength = controlnet.network.shown(model, torch.from_numpy(digit_sketches.test.inputs[:3]))
        without = text_to_image.LatentDiffusion.forward(model, mixture, time, *free)
        assert torch.equal(model(mixture, time, *free, hint, 0 * strength), without)
        told = (*asked, hint, strength), (*free, hint, 0 * strength)
        with_both = model(mixture, time, *told[0])
        assert (with_both != without).any()
        guided = denoising.guided(model, mixture, time, *told, 3.0)
        wanted = denoising.implied(model, without + 3.0 * (with_both - without), mixture, time)
    torch.testing.assert_close(guided, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (9, 14), (28, 28)])
def test_edge_maps_come_to_the_latents_size_whatever_the_picture_s(size, digit_sketches):
    spec = dataclasses.replace(digit_sketches.spec, height=size[0], width=size[1])
    base = a_base(spec, SHAPES[2])
    model = begun(base, spec)
    maps = np.zeros((2, *size, 1), np.uint8)
    assert model.look(unit(torch.from_numpy(maps))).shape == (2, 8, *model.shape[1:])
    assert drawn(model, digit_sketches, 2, edges=maps).shape == (2, *size, 3)


def test_a_base_of_other_pictures_is_refused(digit_captions, digit_sketches):
    base = a_base(dataclasses.replace(digit_captions.spec, height=12), LEVELS)
    with pytest.raises(
        UserError, match="digit_sketches: its pictures have height 8, but those of digit_captions"
    ):
        begun(base, digit_sketches.spec)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hint_width": 0}, "hint_width: "),
        ({"caption_dropout": 1}, "caption_dropout: "),
        ({"hint_widht": 8}, "'hint_width'"),
    ],
)
def test_settings_that_cannot_be(wrong, message):
    with pytest.raises(UserError, match=message):
        configure(controlnet.Config, "quick", wrong, "params.yaml: models.x.overrides")
