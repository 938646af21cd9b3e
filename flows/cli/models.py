"""``darkroom models``: what the project trains, and what it could."""

from __future__ import annotations

import json

from components.project import params
from components.project.sections import KEPT
from flows import tables
from models.registry import FAMILIES


def show(as_json: bool) -> None:
    """Print the models of ``params.yaml``, its catalog, and every family with its summary."""
    settings = params.load()
    if as_json:
        sections = {
            name: {key: entry.model_dump() for key, entry in getattr(settings, name).items()}
            for name in (*KEPT, "weights", "catalog", "catalog_weights")
        }
        print(json.dumps({**sections, "families": FAMILIES}, indent=2))
        return
    sections = {
        "generators: kept up to date, measured by the judge of their data set": settings.generators,
        "models: kept up to date": settings.models,
        "fine_tuned: kept up to date, each from the weights of its base": settings.fine_tuned,
        "pretrained: kept up to date, each fits its base's weights into a network of its own": settings.pretrained,
        "catalog: `darkroom run NAME` takes one into use": settings.catalog,
    }
    for title, models in sections.items():
        based = any(model.base for model in models.values())
        table = tables.make("model", "family", "data set", *(["base"] if based else []), folded=["base"])
        for name, model in models.items():
            tables.add(table, name, model.family, model.dataset, *([model.base or ""] if based else []))
        if models:
            print(f"{title}\n")
            tables.show(table)
            print()
    families = tables.make("family", "what it is", folded=["what it is"])
    for name, summary in FAMILIES.items():
        tables.add(families, name, summary)
    tables.show(families)
