"""Mistakes in ``params.yaml`` that its form does not tell are told before the first stage."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from components.project import params
from components.project.sections import KEPT, Params
from data.errors import UserError
from flows.workspace import overrides, settings_check

ROOT = Path(__file__).parents[3]
WEIGHTS = {"source": "w.pth", "sha256": "0" * 64, "licence": "MIT"}
REAL = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """This project with a ``params.yaml`` of its own."""
    for name in ("components", "data", "flows", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(models: dict | None = None, overrides: bool = False, **sections: dict) -> Params:
    """Write this project's ``params.yaml`` with some entries changed; without overrides, which take PyTorch's time."""
    values = copy.deepcopy(REAL)
    for section in (*KEPT, "catalog") if not overrides else ():
        for entry in values[section].values():
            entry.pop("overrides", None)
    for name, changes in (models or {}).items():
        values["models"][name] |= changes
    for section, entries in sections.items():
        values.setdefault(section, {}).update(entries)
    params.FILE.write_text(yaml.safe_dump(values))
    return params.load()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"gate": {"digits-cnn": {"slices": {"dark": {"margin": 0.1}}}}},
            "params.yaml: gate.digits-cnn.slices.dark: its data set has no such slice.",
        ),
        (
            {"gate": {"digits-cnn": {"challenge_sets": {"night": {"margin": 0.1}}}}},
            "params.yaml: gate.digits-cnn.challenge_sets.night: its data set has no such challenge set.",
        ),
        (
            {"models": {"digits-cnn": {"dataset": "digit_scenes"}}},
            "params.yaml: models.digits-cnn.dataset: 'digit_scenes' is data for detection, and the model's task is "
            "classification.",
        ),
        (
            {"models": {"digits-gmm": {"gpus": 2}}},
            "params.yaml: models.digits-gmm.gpus: 2, but a 'gmm' is fitted on one device. Leave it out.",
        ),
        (
            {"models": {"digits-cnn": {"family": "lora"}}},
            "params.yaml: models.digits-cnn.family: 'lora' starts from the weights of a 'text_to_image': it belongs",
        ),
        (
            {"models": {"digits-cnn": {"family": "vae"}}},
            "params.yaml: models.digits-cnn.family: 'vae' is measured by the judge of its data set: it belongs under "
            "'generators'.",
        ),
        (
            {"generators": {"digits-cnn-two": {"family": "cnn", "dataset": "digits"}}},
            "params.yaml: generators.digits-cnn-two.family: 'cnn' needs no judge: it belongs under 'models'.",
        ),
        (
            {"gate": {"digits-cnn": {"thresholds": {"acuracy": {"at_least": 0.9}}}}},
            "params.yaml: gate.digits-cnn.thresholds.acuracy: classification has no such metric. Did you mean "
            "'accuracy'?",
        ),
        (
            {"gate": {"fashion-cnn": {"thresholds": {"ap50": {"at_least": 0.9}}}}},
            "params.yaml: gate.fashion-cnn.thresholds.ap50: classification has no such metric.",
        ),
        (
            {"schedules": {"yearly": {"cron": "0 3 30 2 *"}}},
            "params.yaml: schedules.yearly.cron: '0 3 30 2 *' never comes: no month has such a day.",
        ),
        (
            {
                "weights": {"w": WEIGHTS},
                "pretrained": {"f": {"family": "lora", "base": "w", "dataset": "digit_negatives"}},
            },
            "params.yaml: pretrained.f.family: 'lora' starts from a 'text_to_image' as a whole: it belongs under",
        ),
        (
            {"pretrained": {"f": {"family": "cnn", "base": "digits-vit", "dataset": "digits"}}},
            "params.yaml: pretrained.f.base: 'digits-vit' is a 'vit'; a 'cnn' starts from its own kind or from",
        ),
        (
            {"fine_tuned": {"f": {"family": "cnn", "base": "digits-cnn", "dataset": "digits"}}},
            "params.yaml: fine_tuned.f.family: 'cnn' fits the weights of its base into a network of its own: it ",
        ),
        (
            {
                "weights": {"w": WEIGHTS},
                "pretrained": {"f": {"family": "mlp", "base": "w", "dataset": "digits"}},
            },
            "params.yaml: pretrained.f.family: 'mlp' starts from nothing: it belongs under 'models'.",
        ),
        (
            {"alerts": {"to": {"team": {"url": "slack://${NO_SUCH_VARIABLE}"}}}},
            "params.yaml: alerts.to.team.url: the environment has no NO_SUCH_VARIABLE. Set it, or take the receiver",
        ),
        (
            {"alerts": {"to": {"team": {"url": "slck://a/b/c"}}}},
            "params.yaml: alerts.to.team.url: apprise knows no such address. It looks like slack://TOKENS",
        ),
        (
            {"models": {"digits-svm": {"variants": ["int8"]}}},
            "params.yaml: models.digits-svm.variants: 'int8': the family svm has no variants of reduced precision.",
        ),
        ({"schedules": {"often": {"cron": "61 * * * *"}}}, "params.yaml: schedules.often.cron: Invalid cron string"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(project, changes, told):
    with pytest.raises(UserError) as error:
        settings_check.check(load(**changes))
    assert told in str(error.value)


def test_all_mistakes_are_told_at_once(project):
    settings = load(
        {
            "digits-cnn": {"overrides": {"epocs": 3}},
            "digits-mlp": {"overrides": {"dropout": 2, "epochs": "many"}},
        },
        schedules={"yearly": {"cron": "0 3 31 4 *"}},
        catalog={"later": {"family": "cnn", "dataset": "digits", "overrides": {"epoch": 1}}},
    )
    with pytest.raises(UserError) as error:
        settings_check.check(settings)
    schedule, later, cnn, *mlp = str(error.value).splitlines()
    assert later.startswith(
        "params.yaml: catalog.later.overrides.epoch: unknown setting. Did you mean 'epochs'?"
    )
    assert "schedules.yearly.cron" in schedule
    assert cnn.startswith(
        "params.yaml: models.digits-cnn.overrides.epocs: unknown setting. Did you mean 'epochs'?"
    )
    assert sorted(line.partition(": Input")[0] for line in mlp) == [
        "params.yaml: models.digits-mlp.overrides.dropout",
        "params.yaml: models.digits-mlp.overrides.epochs",
    ]


def test_this_project_has_no_mistake(project):
    settings = load(overrides=True)
    settings_check.check(
        settings.model_copy(update={"generators": {}, "models": {}, "fine_tuned": {}, "gate": {}})
    )
    assert not list(overrides.wrong(settings))
    assert not list(settings_check._families(settings)) and not list(settings_check._metrics(settings))
