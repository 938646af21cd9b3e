"""Bases that do not fit: each is told before anything is trained."""

from __future__ import annotations

import json

import pytest

import models
from data.errors import UserError
from data.prepared import PreparedData
from models.run import Run
from models.settings import configure
from tests.models.hf_bases import FAMILY, NAMES, SHORT, train, write_base


def refuse(match: str, data: PreparedData, **overrides: object) -> None:
    with pytest.raises(UserError, match=match):
        train(data, **SHORT | overrides)


def test_a_folder_that_is_none_is_told(digits, base, tmp_path):
    (tmp_path / "train" / "huggingface").mkdir(parents=True)
    (tmp_path / "train" / "checkpoint.json").write_text("{}")
    (tmp_path / "train" / "huggingface" / "config.json").write_text("{}")
    refuse(
        r"base: .*/train: no config.json there.* Did you mean '.*huggingface'",
        digits,
        base=str(tmp_path / "train"),
    )
    weightless = tmp_path / "weightless"
    weightless.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (weightless / name).write_bytes((base / name).read_bytes())
    refuse(r"base: .*weightless: no weights there \(\*\.safetensors", digits, base=str(weightless))
    (weightless / "preprocessor_config.json").unlink()
    refuse("weightless: no preprocessor_config.json there", digits, base=str(weightless))


def test_a_model_of_text_is_refused(digits, base, tmp_path):
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    refuse("a 'bert' classifies no images.*It can be: .*vit", digits, base=str(tmp_path))


def test_a_name_is_looked_up_in_the_cache_only_when_offline(digits):
    refuse("base: someone/vit-tiny: .*HF_HUB_OFFLINE.*own", digits, base="someone/vit-tiny")
    refuse("base: owns: .*Did you mean 'own'", digits, base="owns")
    refuse("base: /no/such/folder: no such folder, and no name on the hub", digits, base="/no/such/folder")


def test_classes_that_do_not_match_are_told(digits, base, tmp_path):
    refuse("head: 'keep' needs the classes of the data set.* no '0'", digits, base=str(base), head="keep")
    turned = write_base(tmp_path / "turned", NAMES[::-1])
    refuse("its order differs", digits, base=str(turned), head="keep")
    refuse("head: 'keep' needs a folder or a hub name as base, not 'own'", digits, head="keep")


def test_other_channels_are_told(digits, tmp_path):
    grey = write_base(
        tmp_path / "grey",
        NAMES,
        processor={"size": {"height": 12, "width": 12}, "image_mean": [0.5], "image_std": [0.5]},
        num_channels=1,
    )
    config = configure(models.family(FAMILY).Config, "quick", {"base": str(grey)}, "tests")
    colour = type(digits.spec)(
        **digits.spec.to_json() | {"channels": 3, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    )
    with pytest.raises(UserError, match="base: it reads images of 1 channel, those of 'digits' have 3"):
        models.family(FAMILY).build(config, colour)


def test_a_processor_that_does_more_is_refused(digits, base, tmp_path):
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((base / "preprocessor_config.json").read_text())
    settings |= {"do_pad": True, "pad_size": {"height": 20, "width": 20}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    refuse("its image processor .* does more than resize", digits, base=str(tmp_path))


def test_images_of_another_size_than_the_network_reads_are_told(digits, tmp_path):
    folder = write_base(tmp_path / "small", NAMES, processor={"size": {"height": 8, "width": 8}})
    refuse("it cannot read what its image processor gives", digits, base=str(folder))


def test_half_of_two_classes_is_too_few(digits):
    spec = type(digits.spec)(**digits.spec.to_json() | {"classes": ("0", "1")})
    config = configure(models.family(FAMILY).Config, "quick", SHORT, "tests")
    model = models.family(FAMILY).build(config, spec)
    two = type("Two", (), {"spec": spec, "train": digits.train, "validation": digits.validation})
    with Run("fine") as run, pytest.raises(UserError, match=r"base: 'own' first learns.* Use 'scratch'"):
        models.family(FAMILY).fit(model, two, run)
