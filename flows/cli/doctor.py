"""``darkroom doctor``: looks at the machine and the project, and says what to mend."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

_MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")
    ] = False,
    cache: Annotated[
        bool,
        typer.Option(help="Hash every object of DVC's cache, too: dvc checkout and dvc repro trust it."),
    ] = False,
) -> None:
    """Look at the machine and the project, and say what to mend. Exit status 1 when something is wrong."""
    from flows import doctor as examination

    found = []
    for finding in examination.examine(cache=cache):
        found.append(finding)
        if not as_json:
            typer.echo(f"{_MARKS[finding.state]}  {finding.about}: {finding.says}")
            if finding.mend:
                typer.echo(f"      {finding.mend}")
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    raise typer.Exit(1 if any(finding.state == "bad" for finding in found) else 0)
