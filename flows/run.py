"""``darkroom run``: the retraining of all or some models, on this machine, from the terminal."""

from __future__ import annotations

import signal
import sys
import uuid
from contextlib import AbstractContextManager
from functools import partial

from rich.console import Console

from components.project import git, layout, params
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
            failures = _retrain(settings, models, force)
            if failures:
                _explain(failures, console)
                return 1
            # Asked once more so that the answer is kept, and the next run need not ask DVC.
            files = _files_if_up_to_date(models)
        registry = up_to_date.registry()
        table = summary.rows(models)
        if files:
            up_to_date.save(models, files, registry, table)
        summary.show(table, as_json)
        return 0
    finally:
        held.release()


def _files_if_up_to_date(models: list[str]) -> up_to_date.Marks | None:
    """Return the marks of all files of the stages, as they lay before DVC found every stage up to date; else None."""
    stages = dag.select(dag.read(), models)
    files = up_to_date.take({path for stage in stages for path in stage.paths})
    return None if dag.changed(stages) else files


def _retrain(settings: params.Params, models: list[str], force: bool) -> dict[str, str]:
    """Run the flow under a Prefect API of its own or the configured one; return the steps that failed."""
    from flows.prefect_api import server

    run_id = uuid.uuid4().hex
    with reaper.guard(run_id), server.api(), _fork_servers(run_id, models, force):
        # Imported here: Prefect reads its settings on import, and this takes a second in which the server starts.
        from prefect import tags

        from flows import retrain
        from flows.prefect_api.crashed_runs import mark_crashed, workspace_tag
        from flows.workspace import settings_check

        settings_check.check(settings)
        server.wait()
        mark_crashed(workspace_tag())  # the lock is held: this is the only live run
        signal.signal(signal.SIGTERM, _terminate)
        try:
            with tags(workspace_tag()):
                retrain.retrain(models, force)
        except retrain.RetrainFailed as failed:
            return failed.failures
    return {}


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
