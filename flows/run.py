"""``darkroom run``: the retraining of all or some models, on this machine, from the terminal."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from rich.console import Console

from components.project import git, layout, params
from data.errors import UserError
from flows.prefect_api import address
from flows.processes import locks, reaper
from flows.retraining import summary
from flows.stages import dag, fork_server, leftovers, push, up_to_date, verified_remotes
from flows.workspace import catalog


def run(names: list[str], force: bool, as_json: bool, *, wait: bool = False) -> int:
    """Bring the models ``names`` (all when empty) up to date, register and gate them, and print the table.

    Args:
        names: entries of ``models:``, of ``fine_tuned:`` or of the catalog.
        force: run the stages of these models even if they are up to date.
        as_json: print the table as JSON.
        wait: wait for a run that goes on in this folder instead of refusing.

    Returns:
        The exit status: 0 when every step went well, 1 when one failed.

    Raises:
        UserError: the project's files or the command's arguments hold a mistake.
    """
    console = Console(stderr=True)
    tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    address.tidy()
    git.ask("rev-parse", "HEAD")  # tells what keeps git from telling of versions, before hours of work
    held = locks.hold(locks.RUN, wait=wait)
    try:
        for name in catalog.take(names):
            console.print(f"params.yaml: took {name} from the catalog")
        settings = params.load()
        models = [settings.model(name) and name for name in names] or list(settings.all_models)
        _look_at_folders(settings, console)
        leftovers.sweep(tell)
        for mended in verified_remotes.verify():
            tell(mended)
        kept = None if force or push.is_owed() else up_to_date.recall(models)
        if kept and kept.table:
            console.print("Everything is up to date.")
            summary.show(kept.table, as_json)
            return 0
        files = None if force else kept.files if kept else _files_if_up_to_date(models)
        if files and not push.is_owed() and summary.is_decided(models):
            console.print("Everything is up to date.")
        else:
            failures = _retrain(settings, models, force, tell)
            if failures:
                _explain(failures, console)
                return 1
            # Asked once more so that the answer is kept, and the next run need not ask DVC.
            files = _files_if_up_to_date(models)
        registry = up_to_date.registry()
        table = _rows(models)
        if files:
            up_to_date.save(models, files, registry, table)
        summary.show(table, as_json)
        return 0
    finally:
        held.release()


def _rows(models: list[str]) -> list[dict[str, Any]]:
    """Return the table. Of a registry that has gone away it is said that every step went well."""
    try:
        return summary.rows(models)
    except Exception as error:
        from components.registry import mlflow_store

        if not mlflow_store.may_pass(error):
            raise
        told = f"Every step went well, but the registry does not answer now: {_first_line(error)}"
        raise UserError(f"{told} The table: darkroom status") from None


def end_if_unrecorded(status: int) -> None:
    """End this process at once with ``status`` where Prefect's API was lost in a run.

    On the way out Prefect would try for minutes to hand over to it what happened.
    """
    retrain = sys.modules.get("flows.retrain")
    if retrain is not None and retrain.outcome.unrecorded:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _files_if_up_to_date(models: list[str]) -> up_to_date.Marks | None:
    """Return the marks of all files of the stages, as they lay before DVC found every stage up to date; else None."""
    stages = dag.select(dag.read(), models)
    files = up_to_date.take({path for stage in stages for path in stage.paths})
    return None if dag.changed(stages) else files


def _retrain(
    settings: params.Params, models: list[str], force: bool, tell: Callable[[str], object]
) -> dict[str, str]:
    """Run the flow under a Prefect API of its own or the configured one; return the steps that failed.

    What Prefect could not keep is told, and changes nothing of how the run went.
    """
    from flows.prefect_api import server

    run_id = uuid.uuid4().hex
    with reaper.guard(run_id), server.api(), _fork_servers(run_id, models, force):
        # Imported here: Prefect reads its settings on import, and this takes a second in which the server starts.
        import httpx
        from prefect import tags
        from prefect.exceptions import CancelledRun, PrefectException

        from flows import retrain
        from flows.prefect_api.crashed_runs import mark_crashed, workspace_tag
        from flows.retrain import RetrainFailed, outcome
        from flows.workspace import settings_check

        settings_check.check(settings)
        server.wait()
        mark_crashed(workspace_tag())  # the lock is held: this is the only live run
        signal.signal(signal.SIGTERM, _terminate)
        try:
            with tags(workspace_tag()):
                retrain.retrain(models, force)
        except (httpx.HTTPError, PrefectException, RetrainFailed) as error:
            if outcome.failures is None:
                raise UserError(
                    f"Prefect's API failed before the steps were over: {_first_line(error)}"
                ) from None
            if not isinstance(error, RetrainFailed | CancelledRun):
                outcome.unrecorded = _first_line(error)
    if outcome.unrecorded:
        tell(f"Prefect's API did not answer at the end, so its record is not whole: {outcome.unrecorded}")
    if outcome.is_cancelled:
        cancelled = "it was cancelled through Prefect's API. What is done is kept: the same command goes on from here."
        return {"run": cancelled} | outcome.failures
    return outcome.failures


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _fork_servers(run_id: str, models: list[str], force: bool) -> AbstractContextManager:
    """Return the context in which the libraries of the stages that may run are loaded, as Prefect's server starts."""
    stages = dag.select(dag.read(), models)
    may_run = dag.may_run(stages, dag.changed(stages), models if force else ())
    return fork_server.serve(layout.STATE / "runs" / run_id[:8], may_run)


def _terminate(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _look_at_folders(settings: params.Params, console: Console) -> None:
    """List the users' image folders again, so that new images are seen, and check what is made from what."""
    from components.datasets import listing
    from components.project import lineage

    lineage.check(settings.datasets)
    for dataset in settings.datasets:
        changes = listing.refresh(dataset)
        if changes:
            console.print(f"data/{dataset}/dataset.yaml: {changes}")


def _explain(failures: dict[str, str], console: Console) -> None:
    for step, message in failures.items():
        console.print(f"[bold red]{step}[/]: ", end="")
        console.print(message, markup=False, highlight=False, soft_wrap=True)
