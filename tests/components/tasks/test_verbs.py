"""Every task's module has every verb, and asks families for what they have."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import models
from components import tasks
from components.bundles.agreement import Disagreement
from components.evaluation.hooks import Evaluated
from components.tasks import Task, classification, transcription
from models.registry import FAMILIES
from tests.components import verbs
from tests.models.hooks import HOOKS

MODULES = sorted(file.stem for file in Path(tasks.__file__).parent.glob("[!_]*.py"))
NOT_EVALUATED = {"decode", "footprint", "save_pretrained", "start"}
"""What commands and other stages ask families for."""
IN_THE_GRAPH = {("gmm", "log_likelihood"), ("hmm", "log_likelihood")}
FOR_TESTS = {("controlnet", "reconstruct")}


def test_there_is_a_module_for_each_task_and_each_variant():
    assert set(MODULES) == {*tasks.TASKS, *tasks.VARIANTS.values()}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_every_verb(name):
    assert verbs.missing(import_module(f"components.tasks.{name}"), Task) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_asked_what_it_can_tell(family):
    able = {hook for hook, families in HOOKS.items() if family in families} - NOT_EVALUATED
    known = {hook for other, hook in IN_THE_GRAPH | FOR_TESTS if other == family}
    assert able - set(tasks.of(models.family(family).TASK).HOOKS) == known


def test_no_task_asks_for_what_no_family_of_it_can_tell():
    for name in tasks.TASKS:
        families = {family for family in FAMILIES if name == models.family(family).TASK}
        for hook in tasks.of(name).HOOKS:
            assert families & set(HOOKS[hook]), (name, hook)


def test_attention_that_a_model_does_not_have_is_left_out():
    data = type("Data", (), {"test": type("Split", (), {"images": np.zeros((30, 4, 4, 1), np.uint8)})})
    evaluated = Evaluated(data, predict=None, seed=3, device="cpu")
    ask = classification.HOOKS["attention"]
    assert ask(lambda images: None, evaluated) == {}
    assert len(ask(lambda images: images, evaluated)["attention"]) == 24


def test_too_many_lines_that_are_read_otherwise_do_not_agree(monkeypatch):
    monkeypatch.setattr(transcription, "rows", lambda answers, data: answers)
    answers = {
        "predicted": np.array(["1", "2", "3"], object),
        "confidence": np.array([0.5, 0.6, 0.7], np.float32),
    }
    columns = {"predicted": np.array(["1", "2", "4"], object), "confidence": answers["confidence"]}
    (agreed,) = transcription.agreements(answers, columns, None)
    assert len(agreed.answer) == 2
    columns["predicted"] = np.array(["1", "7", "4"], object)
    told = "2 of 3 test lines are read otherwise by ONNX Runtime, the first as '2' where PyTorch reads '7'; 1 may be"
    with pytest.raises(Disagreement, match=told):
        list(transcription.agreements(answers, columns, None))
