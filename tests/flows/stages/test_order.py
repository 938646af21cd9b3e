"""The longest training goes first, and what it needs before it."""

from __future__ import annotations

from dataclasses import replace

from components.project import layout
from data import atomic
from flows.stages import dag, order


def _last_time(model: str, seconds: float) -> None:
    layout.timing(model).parent.mkdir(parents=True, exist_ok=True)
    atomic.write_json(layout.timing(model), {"seconds": seconds})


def test_never_trained_models_come_as_listed(toy):
    rank = order.ranks(dag.read(), ["two", "one"])
    assert rank == {"train@two": 0, "train@one": 1, "ingest@digits": 0}


def test_what_no_model_waits_for_comes_last(toy):
    stages = dag.read()
    labels = replace(stages[0], address="labels@digits", kind="labels", upstream=("ingest@digits",))
    rank = order.ranks([*stages, labels], ["two", "one"])
    assert rank["labels@digits"] == 2 and rank["ingest@digits"] == 0


def test_the_longest_training_of_last_time_goes_first(toy):
    _last_time("one", 2.0)
    _last_time("two", 70.0)
    assert order.ranks(dag.read(), ["one", "two"])["train@two"] == 0


def test_a_model_that_was_never_trained_goes_before_all(toy):
    _last_time("one", 70.0)
    assert order.ranks(dag.read(), ["one", "two"])["train@two"] == 0
