"""``params.yaml``: models that start from nothing, and those that start from another's weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from components.project import params
from data import atomic
from data.errors import UserError

ROOT = Path(__file__).parents[3]
FROM_NOTHING = {"family": "cnn", "dataset": "shapes"}
FROM_ANOTHER = {"family": "lora", "dataset": "shapes", "base": "one"}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Give a function that loads a project's ``params.yaml`` with sections of its own."""
    monkeypatch.chdir(tmp_path)
    for family in ("cnn", "lora"):
        atomic.write_text(Path("models") / family / "__init__.py", "")
    atomic.write_text(Path("data/shapes/dataset.yaml"), "")

    def load(**sections):
        content = {
            "datasets": {"shapes": "data/shapes/dataset.yaml"},
            "judges": ["shapes"],
            "models": {"one": FROM_NOTHING},
        } | sections
        params.FILE.write_text(yaml.safe_dump(content))
        return params.load()

    return load


def test_models_of_either_section_are_found_and_named_by_it(load):
    settings = load(fine_tuned={"two": FROM_ANOTHER})
    assert list(settings.all_models) == ["one", "two"]
    assert settings.model("two").base == "one"
    assert [settings.where(name) for name in ("one", "two")] == [
        "params.yaml: models.one",
        "params.yaml: fine_tuned.two",
    ]


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"models": {"one": FROM_ANOTHER}}, "params.yaml: models.one.base: "),
        ({"fine_tuned": {"two": FROM_NOTHING}}, "params.yaml: fine_tuned.two.base: "),
        ({"fine_tuned": {"two": FROM_ANOTHER | {"base": "oen"}}}, "Did you mean 'one'"),
        ({"fine_tuned": {"two": FROM_ANOTHER, "three": FROM_ANOTHER | {"base": "two"}}}, "three.base: no model 'two'"),
        ({"fine_tuned": {"one": FROM_ANOTHER}}, "'models' and under 'fine_tuned'"),
        ({"generators": {"one": FROM_NOTHING}}, "'generators' and under 'models'"),
        ({"generators": {"two": FROM_ANOTHER}}, "params.yaml: generators.two.base: "),
        ({"judges": [], "fine_tuned": {"two": FROM_ANOTHER}}, "judges: 'shapes' is missing, whose judge measures"),
        ({"judges": ["shpes"]}, "Did you mean 'shapes'"),
        ({"fine_tuned": {"two": FROM_ANOTHER | {"bsae": "one"}}}, "fine_tuned.two.bsae: "),
        ({"catalog": {"two": FROM_ANOTHER | {"base": "oen"}}}, "params.yaml: catalog.two.base: "),
    ],
)  # fmt: skip
def test_what_a_base_cannot_be(load, sections, told):
    with pytest.raises(UserError, match=re.escape(told)):
        load(**sections)


def test_a_base_may_come_from_the_catalog_with_its_model(load):
    assert (
        load(catalog={"two": FROM_ANOTHER | {"base": "three"}, "three": FROM_NOTHING}).catalog["two"].base
        == "three"
    )


def test_the_catalog_is_read_by_its_old_name_with_a_line(load, capsys):
    params._tell_once.cache_clear()
    assert "two" in load(shelf={"two": FROM_NOTHING}).catalog
    assert "params.yaml: shelf: is called 'catalog' now" in capsys.readouterr().err
    with pytest.raises(UserError, match="'catalog' now, which is there too"):
        load(shelf={"two": FROM_NOTHING}, catalog={})


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ({"max_batsch": 1}, "params.yaml: serve.one.max_batsch: "),
        ({"max_batch": 0}, "serve.one.max_batch: Input should be greater than 0 (got 0)"),
        ({"max_batch": 1.5}, "serve.one.max_batch: Input should be a valid integer (got 1.5)"),
        ({"max_batch": "x"}, "serve.one.max_batch: Input should be a valid integer (got 'x')"),
        ({"max_queue": True}, "serve.one.max_queue: Input should be a valid integer (got True)"),
        ({"batching": 1}, "serve.one.batching: Input should be a valid boolean (got 1)"),
    ],
)
def test_bounds_of_the_server_are_checked_like_the_rest(load, bounds, told):
    with pytest.raises(UserError, match=re.escape(told)):
        load(serve={"one": bounds})
    with pytest.raises(UserError, match=re.escape(told)):
        params.load_serve()


def test_a_server_needs_no_families_and_no_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params.FILE.write_text("models: {m: {family: gone}}\nserve: {m: {max_wait_ms: 5}}\n")
    assert params.load_serve()["m"].max_wait_ms == 5


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"gate": {"one": {"thresholds": {"accuracy": {}}}}}, "params.yaml: gate.one.thresholds.accuracy: "),
        (
            {"gate": {"one": {"thresholds": {"accuracy": {"at_least": 0.9, "at_most": 0.1}}}}},
            "params.yaml: gate.one.thresholds.accuracy: ",
        ),
        ({"gate": {"one": {"thresholds": {"accuracy": {"at_leest": 1}}}}}, "accuracy.at_leest: "),
        ({"models": {"digits.v2": FROM_NOTHING}}, "models: 'digits.v2': "),
        ({"models": {"it's": FROM_NOTHING}}, "models: \"it's\": "),
        ({"models": {"one": FROM_NOTHING | {"preset": "quik"}}}, "Did you mean 'quick'"),
        ({"time_limits": {"trian": 3}}, "Did you mean 'train'"),
        ({"time_limits": {"train": 0}}, "params.yaml: time_limits.train: "),
        ({"engine": "ray:/head:10001"}, "engine: no engine 'ray:/head:10001'. Did you mean 'ray://HEAD:10001'?"),
        ({"resources": {"oen": {}}}, "resources.oen: neither a kind of stage nor a model. Did you mean 'one'?"),
        ({"resources": {"one": {"gpu": 1}}}, "resources.one.gpu: unknown key. Did you mean 'gpus'?"),
        ({"resources": {"train": {"memory_gb": -1}}}, "params.yaml: resources.train.memory_gb: "),
        ({"gc": {"keep_days": -1}}, "params.yaml: gc.keep_days: "),
        ({"gc": {"keep_version": 3}}, "gc.keep_version: unknown key. Did you mean 'keep_versions'?"),
        ({"models": {"one": {"family": "cnn"}}}, "params.yaml: models.one.dataset: "),
        ({"schedules": {"s": {"cron": "0 3 * * *", "timezone": "Europe/Berln"}}}, "no time zone 'Europe/Berln'. Did"),
        (
            {"fine_tuned": {"two": FROM_ANOTHER | {"overrides": {"base": {}}}}},
            "params.yaml: fine_tuned.two.overrides.base: ",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_key_and_by_what_could_be_meant(load, sections, told):
    with pytest.raises(UserError, match=re.escape(told)):
        load(**sections)


def test_an_empty_file_is_told(load):
    load()
    params.FILE.write_text("")
    with pytest.raises(UserError, match=r"params\.yaml: the file: Input should be a valid dict"):
        params.load()


def test_a_model_s_stages_are_named_as_in_dvc_yaml(monkeypatch):
    monkeypatch.chdir(ROOT)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    settings = params.load()
    named = {settings.stage("train", name) for name in settings.all_models}
    assert {
        "train@digits-cnn",
        "train_generators@digits-vae",
        "train_fine_tuned@digit-negatives-lora",
    } <= named
    assert {name.partition("@")[0] for name in named} <= set(stages)
