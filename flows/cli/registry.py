"""``darkroom promote``, ``rollback``, ``history`` and ``status``: people at the registry."""

from __future__ import annotations

import getpass
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.errors import UserError
from flows import tables, telling

if TYPE_CHECKING:
    from components.gate import Decision
    from components.promotion.champion import Standing
    from components.registry.ledger import Entry

Named = Annotated[
    str, typer.Argument(help="A model of params.yaml, or a version of it: NAME, NAME@challenger, NAME@3.")
]
WAIT_S = 2.0
"""Seconds between two looks at a version that waits."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]


def add_to(app: typer.Typer) -> None:
    """Mount the commands on ``app``. MLflow is imported only when one of them runs."""
    for command in (promote, approve, reject, rollback, history, status):
        app.command()(command)


def promote(
    model: Named,
    version: Annotated[int | None, typer.Option(help="A version; the challenger by default.")] = None,
    waive: Annotated[str, typer.Option(help="Overrule the gate, for this reason.")] = "",
    by: Annotated[str, typer.Option(help="Who overrules the gate.")] = "",
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="While the version is on trial or waits for people, ask again until that ends."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask the gate about a version, and make it champion if every check holds. Exit status 1 when it is not."""
    from components import gate

    name, version = version_of(model, "--version", version)
    waiver = gate.Waiver(by, waive) if waive or by else None
    with telling.people():
        decision = gate.run(name, version, waiver=waiver, by=by or getpass.getuser())
    while wait and decision.verdict == "pending":
        time.sleep(WAIT_S)
        with telling.people():
            decision = gate.run(name, decision.version)
    _tell(decision, as_json)
    raise typer.Exit(0 if decision.promoted else 1)


By = Annotated[str, typer.Option(help="Who says so; the user who is logged in by default.")]


def approve(
    model: Named,
    version: Annotated[int | None, typer.Option(help="A version; the challenger by default.")] = None,
    by: By = "",
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    as_json: Json = False,
) -> None:
    """Approve a version that the gate would promote and whose policy asks for people; the last approval promotes it."""
    from components import gate

    name, version = version_of(model, "--version", version)
    with telling.people():
        decision = gate.approve(name, version, verdict="approved", by=by or getpass.getuser(), reason=reason)
    _tell(decision, as_json)


def reject(
    model: Named,
    reason: Annotated[str, typer.Option(help="Why, for the history.")],
    version: Annotated[int | None, typer.Option(help="A version; the challenger by default.")] = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Reject a version that waits for approval: the champion stays."""
    from components import gate

    name, version = version_of(model, "--version", version)
    _tell(gate.approve(name, version, verdict="rejected", by=by or getpass.getuser(), reason=reason), as_json)


def _tell(decision: Decision, as_json: bool) -> None:
    if as_json:
        _print_json(asdict(decision))
        return
    typer.echo(f"{decision.name} version {decision.version}: {decision.verdict}")
    for reason in decision.reasons:
        typer.echo(f"  {reason}")


def rollback(
    model: Named,
    to: Annotated[int | None, typer.Option(help="An earlier champion; the last one by default.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    as_json: Json = False,
) -> None:
    """Make an earlier champion champion again: the one before this, or the version of --to."""
    from components.promotion import champion

    name, to = version_of(model, "--to", to)
    with telling.people():
        now, before = champion.rollback(name, to, by=getpass.getuser(), reason=reason)
    if as_json:
        _print_json({"name": name, "champion": now.number, "before": before})
    elif now.number == before:
        typer.echo(f"{name}: version {before} is champion already.")
    else:
        typer.echo(f"{name}: version {now.number} is champion again, in place of version {before}.")


def history(
    name: Annotated[str | None, typer.Argument(help="A model; all of them by default.")] = None,
    as_json: Json = False,
) -> None:
    """Show every decision of the gate and every move of a champion, oldest first."""
    from components.registry import ledger, versions

    if name:
        name, number = version_of(name, "", None)
        if number is not None:
            raise UserError(f"history: tells of all versions of a model: darkroom history {name}")
    entries = ledger.history(name)
    if name and not entries:
        versions.find(name)  # names what there is when there is no such model
    if as_json:
        _print_json([asdict(entry) for entry in entries])
        return
    table = tables.make(
        "when (UTC)", "model", "version", "what", "before", "by", "why", folded=["when (UTC)", "by", "why"]
    )
    for entry in entries:
        tables.add(table, *_history_row(entry))
    _print_table(table)


def status(as_json: Json = False) -> None:
    """Show champion, challenger and the gate's last decision of each registered model."""
    from components.promotion import champion

    standings = champion.standings()
    if as_json:
        _print_json([asdict(standing) for standing in standings])
        return
    table = tables.make(
        "model",
        "champion",
        "challenger",
        "previous",
        "last decision",
        "note",
        folded=["last decision", "note"],
    )
    for standing in standings:
        tables.add(table, *_status_row(standing))
    _print_table(table)


def version_of(named: str, option: str, number: int | None) -> tuple[str, int | None]:
    """Return the model and the version, if any, that an argument and the ``number`` of an ``option`` mean together."""
    from components.registry import reference, versions

    meant = reference.parse(named)
    if meant.alias is None and meant.number is None:
        return meant.name, number
    if number is not None:
        raise UserError(f"{named} {option} {number}: name the version once.")
    return meant.name, meant.number if meant.alias is None else versions.resolve(meant).number


def _history_row(entry: Entry) -> list[str]:
    what = f"{entry.kind}: {entry.verdict}" if entry.verdict else entry.kind
    # A promotion's reasons stand in the decision above it.
    why = [] if entry.kind == "promotion" else entry.reasons
    when = entry.at.removesuffix("+00:00").replace("T", " ")
    numbers = _number(entry.version or None), _number(entry.champion)
    return [when, entry.model or "-", numbers[0], what, numbers[1], entry.by, "\n".join(why)]


def _status_row(standing: Standing) -> list[str]:
    decision, notes = "", []
    if standing.decision:
        decision = f"{standing.decision.version} {standing.decision.verdict}"
    if standing.deleted:
        notes.append(
            f"version {standing.recorded}, the last recorded champion, was deleted from the registry: "
            f"darkroom rollback {standing.name} goes to the one before"
        )
    elif standing.moved_by_hand:
        recorded = f"version {standing.recorded}" if standing.recorded else "none"
        notes.append(f"champion alias was moved by hand: the last recorded champion is {recorded}")
    if standing.refusal:
        refused = standing.refusal
        told = f"version {refused.version} was refused by the {refused.by} at {refused.at}"
        notes.append(f"{told}: {'; '.join(refused.reasons)}")
    if standing.shadow:
        notes.append(f"challenger, unseen: {standing.shadow}")
    if standing.canary:
        notes.append(f"challenger, answering: {standing.canary}")
    if standing.fallen:
        notes.append(f"challenger fell back: {'; '.join(standing.fallen)}")
    numbers = (_number(n) for n in (standing.champion, standing.challenger, standing.previous))
    return [standing.name, *numbers, decision, "\n".join(notes)]


def _number(number: int | None) -> str:
    return "-" if number is None else str(number)


def _print_table(table: Any) -> None:
    if table.row_count:
        tables.show(table)
    else:
        typer.echo("nothing is registered yet: darkroom run")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))
