"""The model card of a registered version: Markdown made from what is on record, and from nothing else.

It has the form that Hugging Face's hub reads, YAML and then Markdown. The same record gives the same bytes.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.model_card import annex_iv, facts, front_matter, markdown
from components.model_card.facts import TAG, Facts
from components.pipelines import tasks
from components.project import layout, templates
from components.registry import versions
from models.registry import FAMILIES

_FOLDER = Path(__file__).parent / "model_card"


def run(name: str, number: int | None = None) -> str:
    """Return the card of version ``number`` of ``name``; without a number of the champion, else of the challenger.

    Raises:
        UserError: there is no such model or version, it was not registered by Darkroom, or the registry does not
            answer.
    """
    if number is None:
        number = versions.model(name).aliases.get("champion")
    return render(facts.read(versions.find(name, number)))


def render(known: Facts) -> str:
    """Return the card of what is known of a version."""
    # It is Markdown: the filters below take away what characters mean there.
    environment = templates.environment(_FOLDER, escape=False)
    environment.filters |= {
        "plain": markdown.plain,
        "code": markdown.code,
        "number": markdown.number,
        "interval": lambda found: f"{markdown.number(found['low'])} to {markdown.number(found['high'])}",
        "settings": _settings,
        "pairs": lambda values: [(markdown.code(key), _value(value)) for key, value in values.items()],
    }
    bundle = known.bundle
    text = environment.get_template("card.md.jinja").render(
        facts=known,
        front_matter=front_matter.text(known),
        summary=FAMILIES.get(bundle["family"], ""),
        takes=tasks.of(bundle["task"]).USAGE.takes.value,
        dataset_file=layout.dataset_file(bundle["dataset"]).as_posix(),
        registered=datetime.fromtimestamp(known.version.registered_ms / 1000, UTC).isoformat("T", "seconds"),
        bases=_bases(bundle.get("pretrained")),
        missing=lambda key: f"unknown: the tag `{TAG}{key}`",
        points=annex_iv.POINTS,
    )
    # Messages of the gate can name files by their whole path, which means nothing elsewhere.
    text = text.replace(f"{Path.cwd()}/", "")
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _settings(values: dict[str, Any]) -> str:
    """Return settings on one line, by name."""
    return ", ".join(f"{markdown.plain(key)} {_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return markdown.code(markdown.number(value))
    return markdown.code(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _bases(origin: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the weights that a model started from, and those that these did, each with all keys."""
    found = []
    while origin:
        found.append({"sha256": None, "licence": None} | origin)
        origin = origin.get("pretrained")
    return found
