"""The flow that a worker runs: ``darkroom run`` in the folder that the deployment's pull step entered."""

from __future__ import annotations

from contextlib import ExitStack

from prefect import flow, get_run_logger
from prefect.states import Failed, State

from data.errors import UserError
from flows import run
from flows.work_pool import run_output
from flows.workspace import project

REFUSED = "Refused"
"""Name of the failed state of a run that a mistake in the project's files or in the command kept from starting."""


@flow(name="worker-retraining", persist_result=False)
def worker_retraining(
    models: list[str], force: bool = False, engine: str | None = None, as_json: bool = False
) -> State | None:
    """Do what ``darkroom run`` does, once no other run goes on in this folder; what it prints goes to Prefect's logs.

    Args:
        models: names under ``models:`` of ``params.yaml``; all of them when empty.
        force: run the stages of these models even if they are up to date.
        engine: where stages run, in place of what ``params.yaml`` says.
        as_json: print the table as JSON.

    Returns:
        A failed state where a step failed or there is a mistake; None where all went well.
    """
    with ExitStack() as kept:
        kept.enter_context(run_output.logged(get_run_logger()))
        try:
            project.enter()
            failed = run.run(models, force, as_json, wait=True, engine=engine)
        except UserError as error:
            return Failed(name=REFUSED, message=str(error))
    return Failed(message="a step failed") if failed else None
