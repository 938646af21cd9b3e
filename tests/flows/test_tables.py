"""Tables on standard output, on a terminal of 80 columns and in a pipe."""

from __future__ import annotations

import pytest
from rich.console import Console

from flows import tables

NAME, WHY = "fashion-lines-encoder-decoder", "accuracy: .91 is below .92; " * 5


@pytest.fixture
def table():
    made = tables.make("model", "version", "why", folded=["why"])
    tables.add(made, NAME, "3", WHY)
    tables.add(made, "[red]", "-", "")
    return made


def test_in_a_pipe_a_row_is_a_line(table, capsys):
    tables.show(table)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == [
        "model                          version  why",
        f"{NAME}  3        {WHY.rstrip()}",
        "[red]                          -",
    ]


def test_on_a_narrow_terminal_names_are_whole_and_reasons_go_on_below(table, capsys, monkeypatch):
    monkeypatch.setattr(tables, "console", lambda: Console(width=80))
    tables.show(table)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert NAME in lines[1] and len(lines) > 4
