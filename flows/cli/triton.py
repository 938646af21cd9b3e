"""``darkroom export-triton``: the champions as a model repository of Triton."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def export_triton(
    folder: Annotated[Path, typer.Argument(help="The model repository, made or brought up to date.")],
    models: Annotated[
        list[str] | None, typer.Argument(help="Registered models; all that have a champion by default.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")
    ] = False,
) -> None:
    """Write the champions as a Triton model repository."""
    from components.project import params
    from components.registry import triton
    from flows.workspace.project import CALLED_FROM

    exported = triton.run(CALLED_FROM / folder, models or [], params.load_serve())
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in exported], indent=2))
        return
    for one in exported:
        typer.echo(f"{one.name} version {one.version}: {'written' if one.written else 'was there already'}")
