"""Locks of the registry: files in the workspace, and in a PostgreSQL database that several machines share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import sqlalchemy
from filelock import FileLock, Timeout

from components.project.layout import STATE
from components.registry.database_lock import DatabaseLock
from components.registry.store_address import Unreachable, is_postgresql, uri, without_password
from data.errors import UserError, first_line

_LOCK_S = 600

_held: dict[str, DatabaseLock] = {}
"""The locks in a shared database that this process holds, by model."""


@contextmanager
def of_workspace(name: str) -> Iterator[None]:
    """Hold ``.darkroom/locks/<name>.lock``: one process of this workspace at a time.

    Raises:
        UserError: another process held it for ten minutes.
    """
    path = STATE / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=_LOCK_S):
            yield
    except Timeout:
        raise UserError(
            f"{path}: another process has held this lock for {_LOCK_S} s. End it and try again."
        ) from None


@contextmanager
def of_models(*names: str) -> Iterator[None]:
    """Hold what may change registered models: one process at a time, of all machines where the store is PostgreSQL.

    Behind a tracking server the database is out of reach, and the lock is one of this workspace alone.

    Raises:
        UserError: another process held one of them for ten minutes, or the database does not answer.
    """
    with ExitStack() as held:
        for name in names:
            held.enter_context(of_workspace(f"registry-{name}"))
        if is_postgresql(uri()):
            shared = held.enter_context(_database_lock(uri(), *(f"model {name}" for name in names)))
            for name in names:
                _held[name] = shared
                held.callback(_held.pop, name)
        yield


@contextmanager
def of_store(address: str) -> Iterator[None]:
    """Hold what sets up the store at ``address``.

    Raises:
        UserError: as :func:`of_models`.
    """
    with ExitStack() as held:
        held.enter_context(of_workspace("mlflow-store"))
        if is_postgresql(address):
            held.enter_context(_database_lock(address, "set-up"))
        yield


def hold_everywhere() -> bool:
    """Say whether :func:`of_models` keeps out other workspaces, too."""
    return is_postgresql(uri())


def require(model: str) -> None:
    """See that the lock of a model, if this process took it, is still held: a database that went away dropped it.

    Raises:
        Unreachable: it is lost.
    """
    try:
        if model in _held:
            _held[model].require()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise Unreachable(
            f"{model}: the registry's database went away meanwhile, and with it the lock of this model "
            f"({first_line(error)}). Nothing was moved: try again."
        ) from None


@contextmanager
def _database_lock(address: str, *names: str) -> Iterator[DatabaseLock]:
    with ExitStack() as held:
        try:
            lock = held.enter_context(closing(DatabaseLock(address, _LOCK_S)))
            for name in names:
                lock.take(name)
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise Unreachable(
                f"MLFLOW_TRACKING_URI={without_password(address)}: the lock cannot be taken: {first_line(error)}"
            ) from None
        yield lock
