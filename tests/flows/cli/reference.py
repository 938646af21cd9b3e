"""The command line's reference, made from the program: ``python -m tests.flows.cli.reference`` writes it again."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from flows.cli import app

FILE = Path(__file__).parents[3] / "docs/reference/command-line.md"
HEAD = """# Command line

Written from the program by `python -m tests.flows.cli.reference`; each command prints the same with `--help`.
A mistake ends with one message and exit status 2, an interrupted command with 130.
"""


def text() -> str:
    """Return every command with its arguments and options, as Markdown."""
    commands = list(_leaves("darkroom", typer.main.get_command(app.whole())))
    index = [f"| [`{name}`](#{name.replace(' ', '-')}) | {_help(command)[0]} |" for name, command in commands]
    parts = [HEAD, "\n".join(["| command | what it does |", "|---|---|", *index]) + "\n"]
    return "\n".join(parts + [_section(name, command) for name, command in commands])


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for _, below in sorted(command.commands.items()):
        yield from _leaves(f"{name} {below.name}", below)


def _section(name: str, command: Any) -> str:
    context = typer.Context(command)
    rows = [param.get_help_record(context) for param in command.get_params(context) if param.name != "help"]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows if row]
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"## `{name}`", "", "\n\n".join(_help(command)), "", f"    {usage}", ""]
    if cells:
        lines += ["| | |", "|---|---|", *(f"| `{flag}` | {help} |" for flag, help in cells), ""]
    return "\n".join(lines)


def _help(command: Any) -> list[str]:
    """Return the paragraphs of a command's help, each on a line."""
    return [" ".join(part.split()) for part in inspect.cleandoc(command.help).split("\n\n")]


if __name__ == "__main__":
    FILE.write_text(text())
