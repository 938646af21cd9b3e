"""The MLflow store: how long to wait for it, and runs that are whole or not there.

Its address is that of :mod:`components.registry.store_address`. Where artifacts go is said in
:mod:`components.registry.artifact_places`.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from components.project.layout import MLFLOW
from components.registry import artifact_places, locks, sqlite_host, store_address
from components.registry.artifact_places import OWNER
from components.registry.store_address import Unreachable, uri
from data import atomic
from data.errors import UserError, first_line, nearest

_MAY_PASS = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
"""Codes of MLflow's for what the network or the database did."""

KEY = "darkroom.key"

_REACH_S = 5
_BATCH = 1000  # most metrics that MLflow takes at once


def may_pass(error: object) -> bool:
    """Say whether ``error`` is one of the network or the database behind the store, so that another try may help."""
    if isinstance(error, MlflowException):
        return error.error_code in _MAY_PASS
    return isinstance(error, Unreachable | OSError | sqlalchemy.exc.OperationalError)


def client() -> MlflowClient:
    """Return the client of the store, opened once; an empty store is set up on the way.

    Raises:
        UserError: the store does not answer within seconds, its file is gone, or its address makes no sense.
    """
    address = uri()
    opened = _open(address)
    file = store_address.file(address)
    if file and not file.exists():  # asked now, SQLite would make an empty one in its place
        raise UserError(f"{file}: the registry's file is gone. Put it back.")
    return opened


def experiment(name: str) -> str:
    """Return the id of experiment ``name``, made when there is none."""
    return _experiment(name).experiment_id


def _experiment(name: str) -> Experiment:
    """Return experiment ``name``, made when there is none."""
    found = client().get_experiment_by_name(name)
    if found is None:
        try:
            client().create_experiment(name, artifact_places.of_experiment(name, uri()))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # made by another process in between
                raise
        found = client().get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        raise UserError(
            f"MLflow's experiment {name!r} was deleted, and Darkroom keeps its record there. Bring it back: "
            f"{_command()} experiments restore --experiment-id {found.experiment_id}"
        )
    return found


def _command() -> str:
    """Return what to type in a shell so that MLflow's own command finds this store; no password is in it."""
    command = shlex.quote(os.path.relpath(Path(sys.executable).with_name("mlflow")))
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given == uri():
        return command
    address = '"postgresql+psycopg${MLFLOW_TRACKING_URI#postgresql}"' if given else shlex.quote(uri())
    return f"MLFLOW_TRACKING_URI={address} {command}"


@contextmanager
def whole_run(experiment_name: str, key: str, title: str, tags: Mapping[str, str]) -> Iterator[str]:
    """Yield the id of a run to fill; it is ``FINISHED`` only when the block ends well.

    A run that an earlier process of this workspace left unfinished under the same ``key`` is filled again
    instead of leaving it behind. Call it under a lock that belongs to ``key``: only then is that process
    surely gone.

    Raises:
        UserError: the run's artifacts would go into a folder of another project or machine.
    """
    experiment_id = _check_place(experiment_name)
    left = unfinished(experiment_name, f"tags.`{KEY}` = {quoted(key)}")
    tags = {**tags, KEY: key, OWNER: _owner()}
    if left:
        run_id = left[0].info.run_id
        client().update_run(run_id, status="RUNNING")
        client().log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    else:
        run_id = client().create_run(experiment_id, tags=tags, run_name=title).info.run_id
    try:
        yield run_id
    except Exception:  # an interrupt is no failure: the run is taken up again, as after a kill
        with suppress(MlflowException):  # the store may be what failed
            client().set_terminated(run_id, "FAILED")
        raise
    client().set_terminated(run_id)


def _check_place(experiment_name: str) -> str:
    """Return the id of an experiment into whose place for artifacts this workspace may write."""
    with locks.of_workspace(
        "mlflow-store"
    ):  # a container may have moved them, which has the folder elsewhere
        artifact_places.follow_move(uri(), _owner())
    found = _experiment(experiment_name)
    artifact_places.check_writable(uri(), found.experiment_id, experiment_name, found.artifact_location)
    return found.experiment_id


def delete_version(name: str, number: int) -> None:
    """Delete a version of a model, with its aliases.

    The client's own call reads all versions of the model each time, to see whether it is a prompt.
    """
    client()._get_registry_client().delete_model_version(name, str(number))


def places() -> list[str]:
    """Return where Darkroom's experiments keep their artifacts."""
    found = client().search_experiments(filter_string="name LIKE 'darkroom%'")
    return sorted(experiment.artifact_location for experiment in found)


def unfinished(experiment_name: str, condition: str, *, of_all: bool = False) -> list[Run]:
    """Return the runs that this workspace, or any ``of_all``, began and did not finish.

    ``condition`` is a filter of MLflow's.
    """
    where = f"{condition} and attributes.status != 'FINISHED'"
    if not of_all:
        where += f" and tags.`{OWNER}` = {quoted(_owner())}"
    return _search(experiment_name, where)


def finished(experiment_name: str, condition: str = "") -> list[Run]:
    """Return the finished runs of an experiment, oldest first; ``condition`` is a filter of MLflow's."""
    where = "attributes.status = 'FINISHED'" + (f" and {condition}" if condition else "")
    return _search(experiment_name, where)


def finished_here(experiment_name: str, since: float) -> list[Run]:
    """Return the runs of an experiment that this workspace finished at the Unix time ``since`` or later."""
    where = "attributes.status = 'FINISHED'"
    where += f" and attributes.end_time >= {int(1000 * since)} and tags.`{OWNER}` = {quoted(_owner())}"
    return _search(experiment_name, where)


def settled(experiment_name: str) -> list[Run]:
    """Return the runs of an experiment that nobody writes to: finished ones, and what this workspace left unfinished.

    Call it under the lock under which this workspace writes them.
    """
    found = client().get_experiment_by_name(experiment_name)
    return [
        run
        for run in (_pages(found.experiment_id, "") if found else ())
        if run.info.status == "FINISHED" or run.data.tags.get(OWNER) == _owner()
    ]


def _search(experiment_name: str, where: str) -> list[Run]:
    """Return the runs of an experiment for which a filter of MLflow's holds, oldest first."""
    return _pages(experiment(experiment_name), where)


def _pages(experiment_id: str, where: str) -> list[Run]:
    """Return the runs of an experiment for which a filter of MLflow's holds, oldest first."""
    runs, token = [], None
    while True:
        page = client().search_runs(
            [experiment_id], where, order_by=["attributes.start_time ASC"], page_token=token
        )
        runs.extend(page)
        token = page.token
        if not token:
            return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))


def log_numbers(run_id: str, params: Mapping[str, str], metrics: list[Metric]) -> None:
    """Write parameters and metrics to a run, in as few requests as MLflow's limits allow."""
    client().log_batch(run_id, params=[Param(name, str(value)) for name, value in params.items()])
    for start in range(0, len(metrics), _BATCH):
        client().log_batch(run_id, metrics=metrics[start : start + _BATCH])


def quoted(text: str) -> str:
    """Return ``text`` as a string of MLflow's filters, which know no escapes.

    Raises:
        UserError: it cannot be written there.
    """
    if '"' not in text:
        return f'"{text}"'
    if "'" not in text and not text.endswith("\\"):
        return f"'{text}'"
    raise UserError(f"{text}: MLflow cannot be asked for what holds both kinds of quotes. Take others.")


def _owner() -> str:
    folder = str(Path.cwd()).replace('"', "%22")  # a folder may be called anything
    return f"{platform.node()}:{folder}"


@cache
def _open(address: str) -> MlflowClient:
    shown = store_address.without_password(address)
    scheme = address.partition(":")[0]
    if scheme not in store_address.SCHEMES:
        known = nearest(scheme, store_address.SCHEMES)
        raise UserError(f"MLFLOW_TRACKING_URI={shown}: no such kind of store.{known}")
    if scheme == "sqlite":  # a file that is kept open is read on after it was deleted or replaced
        os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    try:
        if scheme in ("http", "https"):
            _ask_server(address, shown)
        elif scheme != "sqlite":
            sqlalchemy.create_engine(address).connect().close()
        elif file := store_address.file(address):
            sqlite_host.claim(file)
        # Two processes that set up one empty database at the same time trip over each other.
        with locks.of_store(address):
            if artifact_places.is_embedded(address) and not (MLFLOW / "mlflow.db").exists():
                _make_embedded()
            opened = MlflowClient(address)
            artifact_places.follow_move(address, _owner())
            return opened
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, MlflowException) as error:
        reason = first_line(error)
        kind = Unreachable if may_pass(error) else UserError
        raise kind(f"MLFLOW_TRACKING_URI={shown}: cannot be used: {reason}") from None


def _make_embedded() -> None:
    """Make the embedded store in one step: killed between two of its tables, MLflow could never finish them."""
    made = MLFLOW / "made"
    with atomic.folder(made) as folder:  # SQLite puts a journal beside its file
        MlflowClient(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
    (made / "mlflow.db").replace(MLFLOW / "mlflow.db")
    made.rmdir()


def _ask_server(address: str, shown: str) -> None:
    # Not /health: that is 200 also when the server's database is down.
    try:
        answer = http_request(
            get_default_host_creds(address),
            "/api/2.0/mlflow/experiments/get",
            "GET",
            max_retries=0,
            timeout=_REACH_S,
            raise_on_status=False,
            params={"experiment_id": "0"},
        )
    except Exception as error:  # requests' and MLflow's kinds alike: nothing answered
        raise Unreachable(f"MLFLOW_TRACKING_URI={shown}: no answer within {_REACH_S} s: {error}") from None
    if answer.status_code in (401, 403):
        raise UserError(
            f"MLFLOW_TRACKING_URI={shown}: access refused ({answer.status_code}). "
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    if answer.status_code >= 500:
        raise Unreachable(
            f"MLFLOW_TRACKING_URI={shown}: the server fails ({answer.status_code}). Is its database up?"
        )
