"""Classifiers by gradients: what makes up for classes of unequal size helps the small ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score
from torch import nn
from torch.nn import functional

from data.prepared import Split
from models.blocks import classify
from models.blocks.batches import Batches
from models.blocks.classify import Classifying
from models.blocks.photographs import Augmentation
from models.blocks.pixels import unit
from models.blocks.shots import Part
from models.run import Run

RECIPE = {"epochs": 20, "batch_size": 40, "learning_rate": 1e-2}


class Linear(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 10))


@pytest.fixture(scope="module")
def unequal(digits) -> Part:
    """Digits of which all small numbers are there, and of the others two of each."""
    return Part(_fewer(digits.train), _fewer(digits.validation))


def _fewer(split: Split) -> Split:
    chosen = [np.flatnonzero(split.labels == k)[: None if k < 5 else 2] for k in range(10)]
    index = np.concatenate(chosen)
    return Split(split.images[index], split.labels[index], [split.ids[i] for i in index])


def fitted(data: Part, criterion=functional.cross_entropy, **settings: object) -> nn.Module:
    with Run("classify") as run:
        model = Linear()
        classify.train(model, data, run, Classifying(**RECIPE | settings), criterion)
    return model


def macro_recall(model: nn.Module, split: Split) -> float:
    with torch.no_grad():
        found = model(unit(torch.tensor(split.images))).argmax(dim=1)
    return recall_score(split.labels, found, average="macro")


@pytest.mark.parametrize("imbalance", ["weights", "sampling"])
def test_the_mean_recall_over_classes_rises(digits, unequal, imbalance):
    without = macro_recall(fitted(unequal), digits.test)
    assert macro_recall(fitted(unequal, imbalance=imbalance), digits.test) > without + 0.1


@pytest.mark.parametrize(
    "settings",
    [
        {"imbalance": "weights"},
        {"imbalance": "sampling"},
        {"imbalance": "sampling", "augmentation": Augmentation(crop=0.5, flip=True, policy="trivial")},
    ],
)
def test_killed_and_started_again_it_ends_in_the_same_weights(unequal, settings, tmp_path):
    settings = settings | {"epochs": 3}
    whole = fitted(unequal, **settings).state_dict()
    point, shown = tmp_path / "point", []

    def until(last: int):
        def criterion(*batch: torch.Tensor, **how: str) -> torch.Tensor:
            shown.append(1)
            if len(shown) == last:
                raise KeyboardInterrupt
            return functional.cross_entropy(*batch, **how)

        return criterion

    config = Classifying(**RECIPE | settings)
    with pytest.raises(KeyboardInterrupt):
        resumable(unequal, config, point, until(5))
    assert point.exists()
    resumed = resumable(unequal, config, point, until(0)).state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def resumable(data: Part, config: Classifying, point, criterion) -> nn.Module:
    with Run("classify", resume_file=point, save_seconds=0.0, save_share=math.inf) as run:
        model = Linear()
        classify.train(model, data, run, config, criterion)
    return model


def test_in_a_balanced_loss_each_class_has_an_equal_share(unequal):
    torch.manual_seed(0)
    model, split = Linear(), unequal.validation
    with torch.no_grad():
        each = functional.cross_entropy(
            model(unit(torch.tensor(split.images))), torch.tensor(split.labels), reduction="none"
        )
    of_classes = [each[split.labels == label].mean() for label in range(10)]
    found = classify.validate(model, Batches(split, torch.device("cpu")), balanced=True)
    assert found["loss"] == pytest.approx(float(torch.stack(of_classes).mean()), rel=1e-5)


def test_unless_it_is_asked_for_a_setting_is_nowhere():
    assert not {"imbalance", "augmentation"} & Classifying().model_dump().keys()
    assert Classifying(imbalance="weights").model_dump()["imbalance"] == "weights"
