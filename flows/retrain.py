"""The retrain flow: every stage of the chosen models in DVC's order, then registration, gate and push.

The DAG is DVC's (:mod:`flows.stages.dag`). Each stage is a Prefect task that asks DVC to reproduce that one stage;
Prefect owns order, retries, time limits and the record of it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import httpx
from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TagsContext
from prefect.exceptions import CancelledRun, PrefectException
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, State
from prefect.task_runners import ThreadPoolTaskRunner
from rich.console import Console

from components.project import layout
from data.errors import UserError, first_line
from flows.prefect_api import cancellation
from flows.retraining import summary
from flows.retraining.plan import Plan
from flows.retraining.steps import Retraining
from flows.stages import push
from flows.stages.process import StageFailed
from flows.stages.push import PushFailed

WORTH_RETRYING = ("ingest", "register", "gate", "report", "push")
"""Steps that reach over a network, as all do that run elsewhere. The others are deterministic: what failed once fails
again."""

RETRY_DELAYS = (2, 15)
"""Seconds before the second and the third try of a step: a server that is started again is back by then."""


class RetrainFailed(Exception):
    """At least one step failed.

    Attributes:
        failures: step to message.
    """

    def __init__(self, failures: dict[str, str]) -> None:
        super().__init__("; ".join(f"{step}: {message}" for step, message in failures.items()))
        self.failures = failures


@dataclass
class Outcome:
    """How a run went, whatever Prefect could keep of it.

    Attributes:
        failures: step to message; None while its steps are not over.
        is_cancelled: it was cancelled through Prefect's API.
        unrecorded: why Prefect has not all of it; empty where it has.
        table: a row for each model, as :func:`flows.retraining.summary.rows` gives it; None where a step failed or the
            registry did not answer at the end.
    """

    failures: dict[str, str] | None = None
    is_cancelled: bool = False
    unrecorded: str = ""
    table: list[dict[str, Any]] | None = None


def retrain(plan: Plan) -> Outcome:
    """Bring the models of ``plan`` up to date, register them and put them to the gate, as a flow run of Prefect.

    A step that fails is told by the outcome; what did not depend on it was still done.

    Raises:
        UserError: Prefect's API failed before the steps were over.
    """
    outcome = Outcome()

    @flow(name="retrain", persist_result=False, task_runner=ThreadPoolTaskRunner(max_workers=1024))
    def record(models: list[str], force: bool) -> list[dict[str, Any]] | State | None:
        """Bring ``models`` up to date, register them and put them to the gate."""
        return _retrain(plan, outcome)

    try:
        record(list(plan.models), bool(plan.forced))
    except (httpx.HTTPError, PrefectException, RetrainFailed) as error:
        told = f"{type(error).__name__}: {first_line(error)}"
        if outcome.failures is None:
            raise UserError(f"Prefect's API failed before the steps were over: {told}") from None
        if not isinstance(error, RetrainFailed | CancelledRun):
            outcome.unrecorded = told
    return outcome


def _retrain(plan: Plan, outcome: Outcome) -> list[dict[str, Any]] | State | None:
    """Do the steps of ``plan`` and tell ``outcome``; return what Prefect is to keep of the run."""
    with (
        Retraining(plan, Console(stderr=True)) as retraining,
        cancellation.watch(retraining.stop) as cancelled,
    ):
        try:
            _run_steps(retraining)
        except BaseException:
            retraining.stop()
            raise
    outcome.failures, outcome.is_cancelled = retraining.failures, cancelled.is_set()
    if outcome.is_cancelled:
        return Cancelled(message="It was cancelled through the API, and stopped.")
    if retraining.failures:
        raise RetrainFailed(retraining.failures)
    try:
        outcome.table = summary.rows(plan.models)
    except Exception as error:
        from components.registry import mlflow_store

        if not mlflow_store.may_pass(error):
            raise
        return None  # every step went well: whoever shows the table asks once more, and tells
    try:
        _publish(outcome.table)
    except Exception as error:  # of any of Prefect's libraries: it keeps the record, it does not decide
        outcome.unrecorded = f"{type(error).__name__}: {error}"
    return outcome.table


@task(cache_policy=NO_CACHE, persist_result=False)
def step(retraining: Retraining, address: str) -> str:
    """Do one step, a stage of the DAG or what follows it, and return how it went."""
    return retraining.do(address)


def _run_steps(retraining: Retraining) -> None:
    """Submit every step after what it needs, and wait for all."""
    futures: dict[str, PrefectFuture] = {}
    for stage in retraining.stages.values():
        futures[stage.address] = _submit(retraining, stage.address, [futures[up] for up in stage.upstream])
    for name in retraining.models:
        futures[f"register@{name}"] = _submit(retraining, f"register@{name}", [futures[f"export@{name}"]])
        labels = futures.get(f"labels@{retraining.dataset(name)}")
        before = [futures[f"register@{name}"], *([labels] if labels else [])]
        futures[f"gate@{name}"] = _submit(retraining, f"gate@{name}", before)
    for future in futures.values():
        future.wait()
    ends = ["report", "push"] if push.is_owed() and not retraining.failures else ["report"]
    for future in [_submit(retraining, end, []) for end in ends]:
        future.wait()


def _submit(retraining: Retraining, address: str, after: list[PrefectFuture]) -> PrefectFuture:
    kind = address.partition("@")[0]
    options: dict[str, Any] = {"name": kind, "task_run_name": address}
    options["on_failure"] = [lambda *_: retraining.tell_failure(address)]
    if kind in WORTH_RETRYING or retraining.is_elsewhere(address):
        options |= {"retries": len(RETRY_DELAYS), "retry_delay_seconds": list(RETRY_DELAYS)}
        options |= {"retry_condition_fn": _is_transient}
    # Steps do not inherit the flow run's tags: for each tag of a task Prefect asks its server for a concurrency slot, a
    # request that was seen to take 2 s.
    with TagsContext(current_tags=set()):
        return step.with_options(**options).submit(retraining, address, wait_for=after)


def _is_transient(task: Any, task_run: Any, state: Any) -> bool:
    """Whether another try may help: the network failed, not the data, the settings or the code."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, StageFailed):
        return error.is_transient
    from components.registry import mlflow_store

    return isinstance(error, PushFailed) or mlflow_store.may_pass(error)


def _publish(rows: list[dict]) -> None:
    """Keep the table and the links as Prefect artifacts."""
    create_table_artifact(
        key="retrain-models", table=rows, description="Every model after the last retraining"
    )
    create_link_artifact(
        key="report", link=str(layout.REPORT.absolute()), description="Every model on one page"
    )
    for row in rows:
        create_link_artifact(
            key=f"bundle-{artifact_key(row['model'])}",
            link=row["bundle"],
            description="The exported ONNX bundle",
        )


def artifact_key(name: str) -> str:
    """Return a model's name as Prefect takes it in a key: small letters, digits and dashes, one key for each name."""
    plain = re.sub(r"[^a-z0-9-]", "-", name.lower())
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
