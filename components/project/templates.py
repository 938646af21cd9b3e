"""Jinja's templates of pages and of model cards: all are read in one way."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path, *, escape: bool = True) -> Environment:
    """Return an environment of the templates in ``folder``; a name that a template does not get is an error.

    ``escape`` takes away what characters of a value mean in HTML.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
