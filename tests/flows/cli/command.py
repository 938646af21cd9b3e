"""A command of the command line in this process."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from data.errors import UserError


def call(app: typer.Typer, *arguments: object, code: int = 0) -> str:
    """Run a command and return what it prints.

    Raises:
        UserError: the command does; ``darkroom`` prints it and exits with 2.
    """
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    if isinstance(done.exception, UserError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout
