"""The ``darkroom`` command."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from data.errors import UserError

app = typer.Typer(
    help="Retrain, evaluate and promote vision models: Prefect schedules, DVC decides, MLflow remembers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Pool = Annotated[
    str | None,
    typer.Option(help="A work pool of the Prefect server at PREFECT_API_URL: a worker of it does the work."),
]
WorkerFolder = Annotated[
    Path | None,
    typer.Option(
        help="With --pool: the project's folder on the worker's machine. Default: the same path as here."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]


@app.command()
def run(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models of params.yaml; all of them by default.")
    ] = None,
    force: Annotated[
        bool, typer.Option(help="Run these models' stages even if they are up to date.")
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Where stages run, in place of engine: in params.yaml. local: here. isolated: each in a workspace "
            "of its own on this machine, with only what git and the DVC remote hold, as on another machine. "
            "ray://HEAD:10001: each in such a workspace on a node of that Ray cluster."
        ),
    ] = None,
    pool: Pool = None,
    worker_folder: WorkerFolder = None,
    as_json: Json = False,
) -> None:
    """Train what is stale, register it and ask the gate about it."""
    from flows.work_pool import commands

    commands.check(pool, worker_folder)
    if pool is not None:
        told = {"force": force, "engine": engine, "as_json": as_json}
        raise typer.Exit(commands.run(models or [], pool, worker_folder, **told))
    from flows import run as run_command

    raise typer.Exit(run_command.run(models or [], force, as_json, engine=engine))


@app.command()
def models(as_json: Json = False) -> None:
    """List the models of params.yaml, those in its catalog, and the families."""
    from flows.cli import models as models_command

    models_command.show(as_json)


@app.command()
def report() -> None:
    """Write the report: one HTML page over all models."""
    from components import report as report_page

    typer.echo(report_page.run())


@cache
def whole() -> typer.Typer:
    """Return the command line with the commands of all modules."""
    from flows.cli import (
        alerts,
        card,
        compare,
        data,
        doctor,
        gc,
        predict,
        registry,
        reproduce,
        schedule,
        serve,
        triton,
    )

    app.add_typer(data.app, name="data")
    registry.add_to(app)
    serve.add_to(app)
    predict.add_to(app)
    app.command("alerts")(alerts.alerts)
    app.command("card")(card.card)
    app.command("compare")(compare.compare)
    app.command("doctor")(doctor.doctor)
    app.command("gc")(gc.gc)
    app.command("reproduce")(reproduce.reproduce)
    app.command("schedule")(schedule.schedule)
    app.command("export-triton")(triton.export_triton)
    return app


def main() -> None:
    """Run the command line: a user's mistake ends with its message alone and exit status 2."""
    from flows.cli import predict
    from flows.workspace import project

    commands = whole()
    try:
        if not {"--help", "-h"} & set(sys.argv[1:]) and not {*sys.argv[1:2]} <= predict.ANYWHERE:
            project.enter()
        commands()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
