"""``darkroom card``: the model card of a version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.registry import Named, version_of


def card(
    model: Named,
    version: Annotated[
        int | None, typer.Option(help="A version; by default the champion, and without one the challenger.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file instead of standard output.")
    ] = None,
) -> None:
    """Write the model card of a version: Markdown as Hugging Face's hub reads it, from what is on record alone."""
    from components import card as model_card
    from data import atomic

    text = model_card.run(*version_of(model, "--version", version))
    if out is None:
        typer.echo(text, nl=False)
    else:
        atomic.write_text(out, text)
        typer.echo(out)
