"""``darkroom models``: what the project trains, and what it could."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from components.project import params
from models.registry import FAMILIES


def show(as_json: bool) -> None:
    """Print the models of ``params.yaml``, its catalog, and every family with its summary."""
    settings = params.load()
    if as_json:
        sections = {
            name: {key: entry.model_dump() for key, entry in getattr(settings, name).items()}
            for name in ("models", "fine_tuned", "catalog")
        }
        print(json.dumps({**sections, "families": FAMILIES}, indent=2))
        return
    console = Console()
    table = Table("model", "family", "starts from", "data set", "preset", "", box=None, header_style="bold")
    in_catalog = "in the catalog: `darkroom run` takes it into use"
    for models, note in ((settings.all_models, ""), (settings.catalog, in_catalog)):
        for name, model in models.items():
            table.add_row(name, model.family, model.base or "", model.dataset, model.preset, note)
    console.print(table)
    families = Table("family", "what it is", box=None, header_style="bold")
    for name, summary in FAMILIES.items():
        families.add_row(name, summary)
    console.print(families)
