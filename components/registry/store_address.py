"""Where the MLflow store is.

The default store is embedded: SQLite and a folder under ``.darkroom/mlflow``. ``MLFLOW_TRACKING_URI`` alone
moves it, to PostgreSQL (``postgresql+psycopg://user@host/database``) or to a tracking server
(``https://...``).
"""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy

from components.project.layout import MLFLOW
from data.errors import UserError

SCHEMES = ("sqlite", "postgresql+psycopg", "postgresql", "http", "https")


class Unreachable(UserError):
    """The store does not answer, or its database does not. Another try may help."""


def uri() -> str:
    """Return the address of the store: ``MLFLOW_TRACKING_URI``, or the embedded one."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(MLFLOW / 'mlflow.db').absolute()}"
    # Without a driver SQLAlchemy 2.0 means psycopg2, which is not here.
    return address.replace("postgresql://", "postgresql+psycopg://", 1)


def is_postgresql(address: str) -> bool:
    """Say whether the store is a PostgreSQL database."""
    return address.startswith("postgresql")


def file(address: str) -> Path | None:
    """Return the file of an SQLite store; None of other stores, and of one in memory or in SQLite's own notation."""
    found = sqlalchemy.make_url(address).database if address.startswith("sqlite") else None
    return Path(found) if found and not found.startswith((":", "file:")) else None


def without_password(address: str) -> str:
    """Return an address as it may be shown."""
    try:
        return sqlalchemy.make_url(address).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return address.rpartition("@")[2]
