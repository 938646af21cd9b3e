"""``darkroom gc``: deletes what nothing needs any more."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from flows import tables

if TYPE_CHECKING:
    from flows.collection.plan import Line


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would stay, why, and what would go.")
    ] = False,
    remote: Annotated[
        bool,
        typer.Option("--remote", help="The DVC remote, too: gc.users of params.yaml names all its users."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")
    ] = False,
) -> None:
    """Delete what no version, commit or run needs: see gc: in params.yaml. The registry says what is needed."""
    from rich.filesize import decimal

    from flows.collection import collecting

    lines = collecting.run(remote=remote, dry_run=dry_run, tell=lambda line: print(line, file=sys.stderr))
    if as_json:
        typer.echo(json.dumps([line._asdict() for line in lines], indent=2))
        return
    table = tables.make("where", "what", "number", "bytes", "stays for", folded=["what", "stays for"])
    for line in sorted(lines, key=lambda line: not line.why):
        kept = line.why or ("- goes" if dry_run else "- gone")
        tables.add(table, line.where, line.what, str(line.count), decimal(line.size), kept)
    tables.show(table)
    freed = decimal(_sum(lines, stays=False))
    done = f"{freed} would go" if dry_run else f"{freed} gone"
    typer.echo(f"{done}, {decimal(_sum(lines, stays=True))} {'would stay' if dry_run else 'stay'}.")


def _sum(lines: Sequence[Line], *, stays: bool) -> int:
    return sum(line.size for line in lines if bool(line.why) == stays)
