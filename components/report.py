"""The report: one HTML page over all models of ``params.yaml``, ``artifacts/report.html``.

It shows what there is: each model's metrics with their intervals, its pictures, the gate's decision with the
evidence, parity, hashes, and how to make it again. A stage that has not run yet is told, with its command; models of
which there is nothing yet are listed. The file holds everything that it shows, pictures too, and no script: it can be
mailed and kept.
"""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup, escape

from components.project import layout, params, templates
from components.project.sections import GatePolicy
from components.registry import ledger, versions
from components.report_page import data_set, generative, model, numbers
from components.report_page.model import ModelSheet
from data import atomic
from data.errors import UserError

_FOLDER = Path(__file__).parent / "report_page"


def run() -> Path:
    """Write the report and return its path.

    Raises:
        UserError: ``params.yaml`` holds a mistake, an artifact is damaged, or the registry does not answer.
    """
    html = render(gather(), datetime.now(UTC))
    # Messages of the gate can name files by their whole path, which means nothing elsewhere.
    html = html.replace(f"{escape(Path.cwd())}/", "")
    atomic.write_text(layout.REPORT, html)
    return layout.REPORT


def gather() -> list[ModelSheet]:
    """Read what there is of every model of ``params.yaml``, in its order."""
    settings = params.load()
    registered, entries = versions.snapshot(), ledger.history()
    data_sets = {name: data_set.read(name) for name in settings.datasets}
    return [
        model.read(
            name,
            entry,
            settings.gate.get(name, GatePolicy()),
            data_sets[entry.dataset],
            registered.get(name, versions.Model(name)),
            [one for one in entries if one.model == name],
            {kind: settings.stage(kind, name) for kind in ("train", "evaluate", "export")},
        )
        for name, entry in settings.all_models.items()
    ]


def render(models: list[ModelSheet], written: datetime) -> str:
    """Return the page. Every name and message in it is escaped."""
    environment = templates.environment(_FOLDER)
    environment.filters |= {
        "day": _day,
        "milliseconds": numbers.milliseconds,
        "number": numbers.number,
        "plain": "{:g}".format,
        "shell": shlex.quote,
        "small": numbers.small,
        "strip": numbers.strip,
        "words": lambda name: name.replace("_", " "),
    }
    environment.globals["folder"] = lambda name: layout.bundle(name).as_posix()
    style = Markup((_FOLDER / "style.css").read_text())
    page = environment.get_template("page.html")
    return page.render(
        models=models,
        begun=[model for model in models if model.is_begun],
        waiting=[model for model in models if not model.is_begun],
        generative=generative.tables(models),
        written=written.isoformat(timespec="seconds"),
        style=style,
    )


def _day(moment: str) -> str:
    """Return ``2026-11-22 16:46`` for an ISO 8601 moment in UTC."""
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    try:
        print(run())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
