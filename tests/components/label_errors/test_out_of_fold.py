"""Out-of-fold probabilities: an example's own label never reaches what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from components.judging import network
from components.label_errors import out_of_fold
from data.errors import UserError
from data.prepared import DataSpec, Split

SPEC = DataSpec(
    name="d", task="classification", classes=("a", "b"), height=4, width=4, channels=1, levels=256,
    mean=(0.5,), std=(0.25,), sha256="0" * 64,
)  # fmt: skip


def test_equal_contents_share_a_fold_and_folds_are_of_equal_size():
    contents = np.random.default_rng(0).integers(-(2**62), 2**62, 90)
    contents[:10] = contents[10:20]
    found = out_of_fold.folds(contents, 5)
    assert (found[:10] == found[10:20]).all()
    assert np.bincount(out_of_fold.folds(contents[10:], 5)).tolist() == [16] * 5


def test_no_label_of_a_fold_reaches_its_own_probabilities(monkeypatch):
    monkeypatch.setattr(network, "RECIPE", network.RECIPE.model_copy(update={"epochs": 1, "least_steps": 4}))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (48, 4, 4, 1)).astype(np.uint8)
    contents = random.permutation(48).astype(np.int64)
    examples = Split(images, random.integers(0, 2, 48), [str(number) for number in range(48)], contents)
    fold = out_of_fold.folds(contents, 3)
    before = out_of_fold.predict(examples, SPEC, 3)
    assert before.sum(axis=1) == pytest.approx(1, abs=1e-5)
    other = replace(examples, labels=np.where(fold == 1, 1 - examples.labels, examples.labels))
    after = out_of_fold.predict(other, SPEC, 3)
    assert (after[fold == 1] == before[fold == 1]).all()
    assert (after[fold != 1] != before[fold != 1]).any()


def test_too_few_examples_are_refused():
    few = Split(np.zeros((11, 4, 4, 1), np.uint8), np.zeros(11, np.int64), ["x"] * 11, np.arange(11))
    with pytest.raises(UserError, match=r"11 different images .* 12 are needed"):
        out_of_fold.predict(few, SPEC, 3)
