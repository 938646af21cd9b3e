"""``darkroom run``: the retraining of all or some models, on this machine, from the terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from rich.console import Console

from components.project import git, params
from components.project.sections import Params
from data.errors import UserError, first_line
from flows.prefect_api import address
from flows.processes import locks, reaper
from flows.retraining import machine, summary
from flows.retraining.plan import Plan
from flows.stages import fork_server, leftovers, push, up_to_date, verified_remotes
from flows.workspace import catalog

if TYPE_CHECKING:  # it imports Prefect, which reads its settings then
    from flows.retrain import Outcome


def run(
    names: list[str], force: bool, as_json: bool, *, wait: bool = False, engine: str | None = None
) -> int:
    """Bring the models ``names`` (all when empty) up to date, register and gate them, and print the table.

    Args:
        names: entries of ``generators:``, ``models:``, ``fine_tuned:`` or of the catalog.
        force: run the stages of these models even if they are up to date.
        as_json: print the table as JSON.
        wait: wait for a run that goes on in this folder instead of refusing.
        engine: where stages run, in place of what ``params.yaml`` says.

    Returns:
        The exit status: 0 when every step went well, 1 when one failed.

    Raises:
        UserError: the project's files or the command's arguments hold a mistake.
    """
    console = Console(stderr=True)
    address.tidy()
    git.ask("rev-parse", "HEAD")  # tells what keeps git from telling of versions, before hours of work
    held = locks.hold(locks.RUN, wait=wait)
    try:
        status, is_recorded = _run(names, force, as_json, engine, console)
    finally:
        held.release()
    if not is_recorded:
        _end_at_once(status)
    return status


def _run(
    names: list[str], force: bool, as_json: bool, engine: str | None, console: Console
) -> tuple[int, bool]:
    """Return the exit status, and whether Prefect has all of the run."""
    tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    for name in catalog.take(names):
        console.print(f"params.yaml: took {name} from the catalog")
    settings = params.load()
    if engine is not None:
        settings = _with_engine(settings, engine)
    models = [settings.model(name) and name for name in names] or list(settings.all_models)
    _look_at_folders(settings, console)
    leftovers.sweep(tell)
    for mended in verified_remotes.verify():
        tell(mended)
    kept = None if force or push.is_owed() else up_to_date.recall(models)
    if kept and kept.table:
        console.print("Everything is up to date.")
        summary.show(kept.table, as_json)
        return 0, True
    plan = Plan.make(settings, models, force=force)
    table, is_recorded = None, True
    if plan.may_run or push.is_owed() or not summary.is_decided(models):
        outcome = _retrain(plan, tell)
        table, is_recorded = outcome.table, not outcome.unrecorded
        if outcome.failures or outcome.is_cancelled:
            _explain(outcome, console)
            return 1, is_recorded
        # DVC is asked once more, so that the answer is kept and the next run need not ask.
        plan = Plan.make(settings, models)
    else:
        console.print("Everything is up to date.")
    registry = up_to_date.registry()
    table = table or _rows(models)
    if not plan.stale:
        up_to_date.save(models, plan.files, registry, table)
    summary.show(table, as_json)
    return 0, is_recorded


def _with_engine(settings: Params, engine: str) -> Params:
    try:
        return Params.model_validate(dict(settings) | {"engine": engine})
    except ValidationError as error:
        raise UserError(f"--engine: {error.errors()[0]['ctx']['error']}") from None


def _rows(models: list[str]) -> list[dict[str, Any]]:
    """Return the table. Of a registry that has gone away it is said that every step went well."""
    try:
        return summary.rows(models)
    except Exception as error:
        from components.registry import mlflow_store

        if not mlflow_store.may_pass(error):
            raise
        told = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(
            f"Every step went well, but the registry does not answer now: {told} The table: darkroom status"
        ) from None


def _end_at_once(status: int) -> None:
    """End this process: on the way out Prefect would try for minutes to hand over to its API what happened."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _retrain(plan: Plan, tell: Callable[[str], object]) -> Outcome:
    """Run the flow under a Prefect API of its own or the configured one.

    What Prefect could not keep is told, and changes nothing of how the run went.
    """
    from flows.prefect_api import server

    # The libraries of the stages that may run are loaded as Prefect's server starts.
    with (
        reaper.guard(plan.run),
        server.api(),
        fork_server.serve(plan.folder, plan.may_run),
    ):
        # Imported here: Prefect reads its settings on import, and this takes a second in which the server starts.
        from prefect import tags

        from flows import retrain
        from flows.prefect_api.crashed_runs import mark_crashed, tag_enclosing, workspace_tag
        from flows.workspace import settings_check

        settings_check.check(plan.settings)
        if not plan.settings.engine.startswith("ray://"):  # a cluster says itself what its nodes can hold
            machine.require_gpus(
                plan.settings, [stage.item for stage in plan.may_run if stage.kind == "train"]
            )
        server.wait()
        mark_crashed(workspace_tag())  # the lock is held: this is the only live run
        tag_enclosing(workspace_tag())
        signal.signal(signal.SIGTERM, _terminate)
        try:
            with tags(workspace_tag()):
                outcome = retrain.retrain(plan)
        except (KeyboardInterrupt, SystemExit):
            tell(
                "What is done is kept, a training up to its last resume point: the same command goes on from here."
            )
            raise
    if outcome.unrecorded:
        tell(f"Prefect's API did not answer at the end, so its record is not whole: {outcome.unrecorded}")
    return outcome


def _terminate(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _look_at_folders(settings: Params, console: Console) -> None:
    """List the users' image folders again, so that new images are seen, and check what is made from what."""
    from components.datasets import listing
    from components.project import lineage

    lineage.check(settings.datasets)
    for dataset in settings.datasets:
        changes = listing.refresh(dataset)
        if changes:
            console.print(f"data/{dataset}/dataset.yaml: {changes}")


def _explain(outcome: Outcome, console: Console) -> None:
    cancelled = (
        "it was cancelled through Prefect's API. What is done is kept: the same command goes on from here."
    )
    told = {"run": cancelled} if outcome.is_cancelled else {}
    for step, message in (told | (outcome.failures or {})).items():
        console.print(f"[bold red]{step}[/]: ", end="")
        console.print(message, markup=False, highlight=False, soft_wrap=True)
