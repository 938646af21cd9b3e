"""Every task has its interface to people, which names what they can ask."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from components import pipelines
from components.pipelines import tasks
from components.pipelines.tasks import Interface
from components.tasks import TASKS
from data.errors import UserError
from tests.components import verbs
from tests.components.serving import bundles

PARTS = {"board", "fitted board", "faces", "prompts", "seeds"}
PAGE = Path(tasks.__file__).parents[2] / "serving/page/app.js"


def test_there_is_a_module_for_each_task():
    assert {file.stem for file in Path(tasks.__file__).parent.glob("[!_]*.py")} == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_a_module_has_every_verb(name):
    module = import_module(f"components.pipelines.tasks.{name}")
    assert verbs.missing(module, Interface) == []
    assert module.USAGE.page in PARTS and "{url}" in module.USAGE.curl
    assert set(module.SHAPES) <= set(pipelines.names())


def test_parts_of_the_page_are_those_that_its_script_knows():
    script = PAGE.read_text()
    assert [part for part in PARTS - {"board"} if f'model.page === "{part}"' not in script] == []


@pytest.mark.parametrize("kind", sorted(set(bundles.SIGNATURES) - {"slow"}))
def test_a_golden_example_is_shown_as_it_would_be_given(kind):
    given = bundles.example(kind, 3)
    module = tasks.of(bundles.TASKS.get(kind, kind))
    shown = module.example(given, bundles.answers(kind, given), 1)
    assert shown["image"].size == (4, 4)
    assert ("prompt" in shown) == ("prompt" in given)
    assert ("landmarks" in shown) == ("landmarks" in given)


def test_an_unknown_task_is_told():
    with pytest.raises(UserError, match=r"no task 'divination'\."):
        tasks.of("divination")
