"""Overrides: what is wrong with one is said with its file, key and the nearest setting."""

from __future__ import annotations

import pytest

import models
from data.errors import UserError
from models.registry import FAMILIES
from models.settings import configure

WHERE = "params.yaml: models.m.overrides"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("preset", ["quick", "full"])
def test_presets_are_valid_and_json_brings_them_back(family, preset):
    config = models.family(family).Config
    settings = configure(config, preset, {}, WHERE)
    assert config.model_validate_json(settings.model_dump_json()) == settings


def test_an_override_replaces_one_value():
    config = models.family("cnn").Config
    settings = configure(config, "quick", {"learning_rate": "1e-2", "widths": [8, 16]}, WHERE)
    assert settings.learning_rate == 0.01  # YAML reads 1e-2 as text
    assert settings.widths == (8, 16)
    assert settings.batch_size == config.quick().batch_size


@pytest.mark.parametrize(
    ("family", "overrides", "message"),
    [
        (
            "cnn",
            {"epoch": 3},
            r"overrides.epoch: unknown setting. Did you mean 'epochs'\? It can be: .*batch_size, ",
        ),
        (
            "gmm",
            {"covariance": "ful"},
            r"overrides.covariance: Input should be 'full' or 'diag' \(got 'ful'\)",
        ),
        (
            "vit",
            {"augmentation": {"flop": True}},
            r"overrides.augmentation.flop: unknown setting. Did you mean 'flip'\? It can be: crop, flip,",
        ),
        (
            "vit",
            {"augmentation": {"crop": 1.0}},
            r"overrides.augmentation: .*changes nothing: give crop, flip",
        ),
        ("vae", {"dropout": 1.5}, r"overrides.dropout: Input should be less than 1 \(got 1.5\)"),
        (
            "logreg",
            {"penalties": [1, -2]},
            r"overrides.penalties.1: Input should be greater than 0 \(got -2\)",
        ),
    ],
)
def test_a_wrong_override_is_explained(family, overrides, message):
    with pytest.raises(UserError, match=f"^{WHERE[:19]}.*{message}"):
        configure(models.family(family).Config, "quick", overrides, WHERE)


def test_every_mistake_is_told_at_once():
    with pytest.raises(UserError) as caught:
        configure(models.family("cnn").Config, "quick", {"epochs": 0, "width": 3}, WHERE)
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_family_names_the_nearest():
    with pytest.raises(UserError, match=r"no family 'gmn'. Did you mean 'gmm'"):
        models.family("gmn")


@pytest.mark.parametrize("family", FAMILIES)
def test_who_says_how_long_gets_no_more(family):
    config = models.family(family).Config
    assert ("epochs" in config.model_fields) == ("epochs" in config.FLOORS)
    for length, floor in config.FLOORS.items():
        settings = configure(config, "full", {length: 4}, WHERE)
        assert (getattr(settings, length), getattr(settings, floor)) == (4, 1)
        settings = configure(config, "full", {length: 4, floor: 90}, WHERE)
        assert (getattr(settings, length), getattr(settings, floor)) == (4, 90)
    assert configure(config, "full", {}, WHERE) == config.full()


def test_true_is_no_number():
    with pytest.raises(
        UserError, match=r"overrides\.epochs: is not true or false, but such as 2 \(got True\)"
    ):
        configure(models.family("cnn").Config, "quick", {"epochs": True}, WHERE)
    assert configure(models.family("vae").Config, "quick", {"conditional": True}, WHERE).conditional
