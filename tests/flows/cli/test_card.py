"""The card on standard output and in a file."""

from __future__ import annotations

from functools import partial

import pytest
import typer

from components import register
from data.errors import UserError
from flows.cli import card
from tests.components import workspace
from tests.components.conftest import sqlite_project, sqlite_template  # noqa: F401 -- fixtures
from tests.flows.cli import command


@pytest.fixture
def call(sqlite_project):  # noqa: F811
    app = typer.Typer()
    app.command()(card.card)
    workspace.export()
    register.run("m")
    return partial(command.call, app)


def test_the_card_is_printed_or_written_for_a_version_named_in_any_way(call, tmp_path):
    printed = call("m")
    assert printed.startswith("---\nlicense: unknown\n")
    assert printed == call("m", "--version", "1") == call("models:/m/1") == call("m@challenger")
    out = tmp_path / "cards/README.md"
    assert call("m", "--out", out) == f"{out}\n"
    assert out.read_text() == printed


def test_nothing_is_written_where_there_is_no_such_version(call, tmp_path):
    with pytest.raises(UserError, match="no version 2"):
        call("m@2", "--out", tmp_path / "card.md")
    assert not (tmp_path / "card.md").exists()
