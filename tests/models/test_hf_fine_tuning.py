"""What fine-tuning starts from, learns from and changes; a base helps where labels are few."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from models.blocks import classify, shots
from models.blocks.batches import Batches
from models.run import Run
from models.settings import configure
from tests.models import tiny
from tests.models.hf_bases import FAMILY, NAMES, SHORT, train, write_base


def test_the_weights_of_a_base_are_where_training_starts(base, digits):
    from transformers import AutoModelForImageClassification

    model, _ = train(digits, base=str(base), freeze="backbone", **SHORT)
    theirs = AutoModelForImageClassification.from_pretrained(base).base_model.state_dict()
    ours = model.base.base_model.state_dict()
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())


@pytest.mark.parametrize("freeze", ["none", "embeddings", "backbone"])
def test_only_what_is_not_frozen_changes(freeze, base, digits):
    settings = SHORT | {"base": str(base), "freeze": freeze}
    start, _ = train(digits, **settings | {"learning_rate": 1e-12, "ema_decay": 0.0})
    end, _ = train(digits, **settings)
    ends = dict(end.named_parameters())
    moved = {
        key for key, value in start.named_parameters() if not torch.allclose(value, ends[key], atol=1e-7)
    }
    parts = {"embeddings" if "embeddings" in key else key.split(".")[1] for key in moved}
    assert (
        parts
        == {
            "none": {"embeddings", "vit", "classifier"},
            "embeddings": {"vit", "classifier"},
            "backbone": {"classifier"},
        }[freeze]
    )


def test_statistics_of_a_frozen_backbone_stay(digits, tmp_path):
    folder = write_base(
        tmp_path / "resnet", ("a", "b"), processor={"size": {"height": 32, "width": 32}}, kind="ResNet"
    )
    from transformers import AutoModelForImageClassification

    model, _ = train(digits, base=str(folder), freeze="backbone", **SHORT)
    theirs = AutoModelForImageClassification.from_pretrained(folder).base_model.state_dict()
    assert all(torch.equal(model.base.base_model.state_dict()[key], value) for key, value in theirs.items())


def test_few_draws_so_many_of_each_class(digits):
    few = shots.few(digits, 3, seed=5)
    for split, whole in ((few.train, digits.train), (few.validation, digits.validation)):
        assert np.bincount(split.labels).tolist() == [3] * 10
        place = {name: number for number, name in enumerate(whole.ids)}
        index = [place[name] for name in split.ids]
        assert np.array_equal(split.images, whole.images[index])
        assert np.array_equal(split.labels, whole.labels[index])
    assert shots.few(digits, 3, seed=6).train.ids != few.train.ids
    assert shots.few(digits, 3, seed=5).train.ids == few.train.ids
    assert shots.few(digits, 0, seed=5) is digits


def test_the_source_holds_only_its_classes(digits):
    classes = shots.source_classes(10)
    part = shots.of_classes(digits, classes)
    assert list(classes) == [0, 2, 4, 6, 8]
    assert len(part.train) == sum(digits.train.labels % 2 == 0)
    place = {name: number for number, name in enumerate(digits.train.ids)}
    index = [place[name] for name in part.train.ids]
    assert np.array_equal(2 * part.train.labels, digits.train.labels[index])


def test_killed_in_the_fine_tuning_goes_on_there(digits, tmp_path):
    class Killed(Exception):
        pass

    config = configure(
        models.family(FAMILY).Config, "quick", SHORT | {"least_steps": 12, "source_least_steps": 12}, "tests"
    )

    def fit(resume_file: Path, stop_at: tuple[str, int] | None):
        saves = []
        with Run("fine", resume_file=resume_file, save_seconds=0.0, save_share=math.inf) as run:
            save = run.save

            def saved(state):
                save(state)
                saves.append((run.phase, state["step"]))
                if saves[-1] == stop_at:
                    raise Killed

            run.save = saved
            model = models.family(FAMILY).build(config, digits.spec)
            try:
                models.family(FAMILY).fit(model, digits, run)
            except Killed:
                return None
        return model.state_dict(), run.outcome.last, run.history, saves

    weights, last, history, saves = fit(tmp_path / "whole", None)
    assert {phase for phase, _ in saves} == {"source", "fine-tuning"}
    for stop_at in (("source", 5), ("fine-tuning", 1), ("fine-tuning", 9)):
        point = tmp_path / "-".join(map(str, stop_at))
        assert fit(point, stop_at) is None
        again = fit(point, None)
        assert again[3][0] == (stop_at[0], stop_at[1] + 1), "it did not go on where it was killed"
        assert again[2] == history
        for ours, whole in ((again[0], weights), (again[1], last)):
            assert all(torch.equal(ours[key], value) for key, value in whole.items())


def test_a_kept_head_is_the_bases(digits, tmp_path):
    from transformers import AutoModelForImageClassification

    folder = write_base(tmp_path / "digits", NAMES)
    still = SHORT | {"learning_rate": 1e-12, "ema_decay": 0.0}
    theirs = AutoModelForImageClassification.from_pretrained(folder).classifier.weight
    kept, _ = train(digits, base=str(folder), head="keep", **still)
    fresh, _ = train(digits, base=str(folder), **still)
    torch.testing.assert_close(kept.base.classifier.weight, theirs)
    assert not torch.allclose(fresh.base.classifier.weight, theirs, atol=1e-3)


@pytest.mark.slow
def test_a_base_beats_the_same_model_from_scratch_at_20_labels(tmp_path):
    data = tiny.prepare(tmp_path / "digits", (1257, 270, 270))

    def accuracy(**settings: object) -> float:
        models_of_seeds = (train(data, seed=seed, **settings)[0] for seed in range(2))
        held_out = Batches(data.validation, torch.device("cpu"))
        return float(np.mean([classify.validate(model, held_out)["accuracy"] for model in models_of_seeds]))

    assert accuracy(source_epochs=30) > accuracy(base="scratch") + 0.02
