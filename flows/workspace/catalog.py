"""Taking a ready-made model from the catalog of ``params.yaml`` into use, with the user's comments kept."""

from __future__ import annotations

import io
from collections.abc import Iterable

from components.project import lineage, params
from data import atomic
from flows.workspace import settings_check


def take(names: Iterable[str]) -> list[str]:
    """Move those of ``names`` that are in the catalog to the section they belong to.

    Their data sets, and what those are made from, go to ``datasets``, those with a judge to ``judges``; a model that
    one of them starts from comes along, and weights that others have trained are written to ``weights``.

    Returns:
        The names that were moved.

    Raises:
        UserError: ``params.yaml`` is not valid.
    """
    settings = params.load()
    named = [name for name in names if name in settings.catalog and name not in settings.all_models]
    bases = [settings.catalog[name].base for name in named]
    wanted = list(dict.fromkeys([*(base for base in bases if base in settings.catalog), *named]))
    if not wanted:
        return []
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    document = yaml.load(params.FILE.read_text())
    catalog = document["catalog" if "catalog" in document else params.OLD_CATALOG]
    for base in dict.fromkeys(bases):
        if base in settings.catalog_weights and base not in settings.weights:
            document.setdefault("weights", {})[base] = document["catalog_weights"][base]
    for name in wanted:
        entry = catalog.pop(name)
        section = settings_check.section_of(settings.catalog[name])
        document.setdefault(section, {})[name] = entry
        if section in ("generators", "fine_tuned") and entry["dataset"] not in document.setdefault(
            "judges", []
        ):
            document["judges"].append(entry["dataset"])
        for dataset, reads in lineage.entries(entry["dataset"]).items():
            document["datasets"].setdefault(dataset, reads)
    text = io.StringIO()
    yaml.dump(document, text)
    atomic.write_text(params.FILE, text.getvalue())
    params.load()
    return wanted
