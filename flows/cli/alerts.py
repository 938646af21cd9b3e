"""``darkroom alerts``: sends what people are owed, and says what waits and why."""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from components.project import params
from components.project.sections import AlertsPolicy
from data.errors import UserError, first_line
from flows import tables

if TYPE_CHECKING:
    from components.alerts.outbox import Outbox

_EXAMPLE = """{file}: alerts: nobody is to be told. Add receivers, such as:
alerts:
  to:
    team: {{url: "${{SLACK_URL}}"}}
    oncall: {{url: "mailto://user:${{MAIL_PASSWORD}}@example.org", events: [failure, rollback, not_served]}}"""

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]


def alerts(
    test: Annotated[bool, typer.Option("--test", help="Send every receiver a test.")] = False,
    wait: Annotated[
        float, typer.Option(help="Seconds to go on trying; everything is tried once.", min=0)
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Send the alerts that are owed, and show those that wait, with the reason. Exit status 1 while any do."""
    from components.alerts import addresses, outbox, sender
    from components.alerts.event import Event

    policy = params.load_alerts()
    if not policy.to:
        raise UserError(_EXAMPLE.format(file=params.FILE))
    if found := list(addresses.mistakes(policy)):
        raise UserError("\n".join(found))
    with outbox.opened() as box:
        if test:
            box.put(Event(f"test:{uuid.uuid4().hex}", "test", "a test", "Alerts reach you here."), policy.to)
        _collect(box, policy)
        before = len(box.owed(policy.to))
        sender.send(wait, at_once=True)
        left = box.owed(policy.to)
    if as_json:
        typer.echo(
            json.dumps({"sent": before - len(left), "waiting": [asdict(one) for one in left]}, indent=2)
        )
    else:
        typer.echo(f"sent {before - len(left)}, waiting {len(left)}")
        table = tables.make(
            "since (UTC)", "to", "what", "tries", "why", folded=["since (UTC)", "what", "why"]
        )
        for one in left:
            since = datetime.fromtimestamp(one.at, UTC).isoformat(sep=" ", timespec="seconds")
            tables.add(table, since[:19], one.target, one.title, str(one.tries), one.reason)
        if left:
            tables.show(table)
    raise typer.Exit(1 if left else 0)


def _collect(box: Outbox, policy: AlertsPolicy) -> None:
    """Put in what happened; where the registry does not answer, what is owed already is sent all the same."""
    from components.alerts import collecting

    try:
        collecting.collect(box, policy)
    except Exception as error:  # of MLflow, SQLAlchemy or requests
        print(
            f"the registry does not answer, what it has is told later: {first_line(error)}", file=sys.stderr
        )
