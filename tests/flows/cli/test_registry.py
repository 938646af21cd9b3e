"""What people see and scripts read of the registry."""

from __future__ import annotations

import json
from functools import partial

import pytest
import typer

from components import register
from components.registry import mlflow_store
from data.errors import UserError
from flows.cli import registry
from tests.components import workspace
from tests.components.conftest import sqlite_project, sqlite_template  # noqa: F401 -- fixtures
from tests.flows.cli import command


@pytest.fixture
def call(sqlite_project):  # noqa: F811
    app = typer.Typer()
    registry.add_to(app)
    return partial(command.call, app)


def _register(least: float, **settings) -> None:
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": least}}}})
    workspace.export(**settings)
    register.run("m")


def test_promote_roll_back_and_what_is_told_of_it(call):
    assert "nothing is registered yet" in call("status")
    _register(0.7)
    assert "m version 1: promoted" in call("promote", "m")
    _register(1.1, seed=1)
    assert "refused\n  thresholds: accuracy is" in call("promote", "m", code=1)
    assert "waived by ada: a show" in call("promote", "m", "--waive", "a show", "--by", "ada")
    moved = json.loads(call("rollback", "m", "--reason", "it ended", "--json"))
    assert moved == {"name": "m", "champion": 1, "before": 2}
    assert json.loads(call("rollback", "m", "--to", "1", "--json"))["before"] == 1

    (standing,) = json.loads(call("status", "--json"))
    assert (standing["champion"], standing["previous"], standing["moved_by_hand"]) == (1, None, False)
    entries = json.loads(call("history", "m", "--json"))
    assert [(entry["kind"], entry["version"], entry["verdict"]) for entry in entries] == [
        ("decision", 1, "promoted"),
        ("promotion", 1, ""),
        ("decision", 2, "refused"),
        ("decision", 2, "promoted"),
        ("promotion", 2, ""),
        ("rollback", 1, ""),
    ]
    table = call("history")
    assert "waived by ada: a show" in table
    assert "it ended" in table


def test_a_comparison_is_printed_with_its_interval(call):
    _register(0.1)
    call("promote", "m")
    _register(0.1, noise=0.6, seed=1)
    decision = json.loads(call("promote", "m", "--json", code=1))
    assert (decision["version"], decision["promoted"], decision["verdict"]) == (2, False, "refused")
    assert "paired 95 % interval [-" in call("history", "m").replace("\n", " ")


def test_status_tells_of_an_alias_moved_by_hand(call):
    _register(0.7)
    mlflow_store.client().set_registered_model_alias("m", "champion", "1")
    assert "champion alias was moved by hand: the last recorded champion is none" in call("status")


def test_mistakes_are_told(call):
    _register(0.7)
    with pytest.raises(UserError, match="Registered models: m"):
        call("history", "n")
    with pytest.raises(UserError, match="--waive"):
        call("promote", "m", "--waive", "no name given")
    with pytest.raises(UserError, match="no version 9"):
        call("promote", "m", "--version", "9")


def test_a_version_is_named_in_one_way_by_all_commands(call):
    _register(0.0)
    _register(0.0, seed=1)
    assert "m version 1: promoted" in call("promote", "m@1")
    assert "m version 2: promoted" in call("promote", "models:/m@challenger")
    assert "version 1 is champion again" in call("rollback", "m/1")
    for arguments, told in (
        (("promote", "m@1", "--version", "2"), "m@1 --version 2: name the version once"),
        (("rollback", "m@"), "m@: names no model and no version of one"),
        (("history", "m@1"), "darkroom history m"),
    ):
        with pytest.raises(UserError, match=told):
            call(*arguments)
