"""``darkroom reproduce``: makes a registered version again and says whether it is the same, byte for byte."""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.reproduction import Reproduction


def reproduce(
    version: Annotated[
        str, typer.Argument(help="NAME, its champion; NAME@challenger; NAME@3, also models:/NAME/3.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")
    ] = False,
) -> None:
    """Make a version again from its code, data and settings, and compare. Exit status 1 when a byte differs."""
    from components.registry import reference, versions
    from flows import reproduction
    from flows.processes import locks, reaper

    def tell(stage: str, what: str) -> None:
        print(f"{stage}: {what}", file=sys.stderr, flush=True)

    found = versions.resolve(reference.parse(version))
    held = locks.hold(locks.REPRODUCE)
    try:
        with reaper.guard(uuid.uuid4().hex):
            made = reproduction.run(found, tell)
    finally:
        held.release()
    if as_json:
        typer.echo(json.dumps(asdict(made) | {"exact": made.exact}, indent=2, default=str))
    else:
        typer.echo(told(made))
    raise typer.Exit(0 if made.exact else 1)


def told(made: Reproduction) -> str:
    """Return what became of it, for people."""
    what = f"{made.name} version {made.version}, of commit {made.commit[:12]}"
    lines = [f"{what}: the same again, byte for byte." if made.exact else f"{what}: differs."]
    if not made.exact:
        lines += [f"  other bytes: {stage}" for stage, same in made.stages.items() if not same]
        lines += [f"  {metric}: was {then:g}, is {now:g}" for metric, (then, now) in _changed(made)]
        if not _changed(made):
            lines.append("  every metric is the same")
        then, now = made.processors
        if then != now:
            lines.append(f"  trained on: was {then}, is {now}; the bytes hold on one kind of processor only")
        lines.append(f"  kept in {made.folder}")
    lines += [
        f"  {name} {now} is installed; the code was locked to {then}" for name, then, now in made.libraries
    ]
    return "\n".join(lines)


def _changed(made: Reproduction) -> list[tuple[str, tuple[float, float]]]:
    return [
        (metric, (then, float("nan") if now is None else now))
        for metric, (then, now) in made.metrics.items()
        if then != now
    ]
