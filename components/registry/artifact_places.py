"""Where artifacts lie: MLflow records absolute paths, which hold for one folder of one machine.

The embedded store belongs to the project's folder: when that lies elsewhere than recorded, the paths are rewritten. A
database has clients in many folders and on many machines: :data:`SHARED` names the place that all of them reach.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import sqlalchemy
from mlflow.tracking._tracking_service import utils as mlflow_caches
from mlflow.utils.uri import is_local_uri

from components.project.layout import MLFLOW
from data.errors import UserError

SHARED = "DARKROOM_ARTIFACTS"
"""The variable that names the place of artifacts where a database is shared: a folder or an address MLflow knows."""

OWNER = "darkroom.owner"
"""Tag of a run: the workspace that began it."""

MEND = f"Set {SHARED} on each machine to one folder that all of them mount, or use a tracking server."

_OURS = f"/{(MLFLOW / 'artifacts').as_posix()}/"
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def of_experiment(name: str, address: str) -> str | None:
    """Return where an experiment's artifacts go; None where a tracking server decides that itself.

    Raises:
        UserError: :data:`SHARED` names a folder that is not there.
    """
    if address.startswith("http"):
        return None
    file, shared = name.replace("/", "-"), os.environ.get(SHARED)
    if not shared:
        return str((MLFLOW / "artifacts" / file).absolute())
    if not is_local_uri(shared):
        return f"{shared.rstrip('/')}/{file}"
    if not Path(shared).is_dir():
        raise UserError(f"{SHARED}={shared}: no such folder. Is it mounted?")
    return str(Path(shared).absolute() / file)


def is_embedded(address: str) -> bool:
    """Say whether a store is the SQLite file of this project, which no other folder uses."""
    file = sqlalchemy.make_url(address).database if address.startswith("sqlite") else None
    return file is not None and Path(file).absolute() == (MLFLOW / "mlflow.db").absolute()


def moved_from(address: str) -> list[str]:
    """Return the project folders, other than this one, in which an embedded store says that its artifacts lie."""
    if not is_embedded(address) or not (MLFLOW / "mlflow.db").exists():
        return []
    engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            rows = connection.execute(sqlalchemy.text("SELECT artifact_location FROM experiments"))
            folders = {place.rpartition(_OURS)[0] for (place,) in rows if place and _OURS in place}
    except sqlalchemy.exc.DatabaseError:  # MLflow's own request, which follows, says what is wrong
        return []
    return sorted(folders - {str(Path.cwd())})


def follow_move(address: str, owner: str) -> None:
    """Rewrite the paths in an embedded store whose project lies elsewhere now; call it under the store's lock.

    Runs that were left unfinished there belong to this workspace, ``owner``, from then on.
    """
    here = str(Path.cwd())
    for folder in moved_from(address):
        old, new = folder + _OURS, here + _OURS
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            for table, column in _COLUMNS:
                rewrite = (
                    f"UPDATE {table} SET {column} = :new || substr({column}, :rest) "
                    f"WHERE substr({column}, 1, :length) = :old"
                )
                values = {"new": new, "old": old, "length": len(old), "rest": len(old) + 1}
                connection.execute(sqlalchemy.text(rewrite), values)
            claim = sqlalchemy.text("UPDATE tags SET value = :owner WHERE key = :key")
            connection.execute(claim, {"owner": owner, "key": OWNER})
        mlflow_caches._artifact_repos_cache.clear()
        print(f"registry: the project was in {folder}: artifacts are found in {here} now", file=sys.stderr)


def is_shared(place: str) -> bool:
    """Say whether ``place`` is one that others reach as well: no folder, or one in :data:`SHARED`."""
    shared = os.environ.get(SHARED)
    return not is_local_uri(place) or (bool(shared) and Path(place).is_relative_to(Path(shared).absolute()))


def is_here(place: str) -> bool:
    """Say whether ``place`` is in this project's own folder of artifacts."""
    return Path(place).is_relative_to((MLFLOW / "artifacts").absolute())


def check_writable(address: str, experiment_id: str, name: str, place: str) -> None:
    """See that new artifacts of an experiment, whose place is ``place``, go where :func:`of_experiment` says.

    Where :data:`SHARED` names another place than the database, the experiment is given that one: what is there already
    stays.

    Raises:
        UserError: they would go into a folder of another project or machine.
    """
    due = of_experiment(name, address)
    if due is None or place == due or is_embedded(address):
        return
    if os.environ.get(SHARED):
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
        move = sqlalchemy.text("UPDATE experiments SET artifact_location = :place WHERE experiment_id = :id")
        with engine.begin() as connection:
            connection.execute(move, {"place": due, "id": int(experiment_id)})
        print(f"registry: new artifacts of {name} go to {due}, no longer to {place}", file=sys.stderr)
    elif is_local_uri(place):
        raise UserError(
            f"MLflow's experiment {name!r} keeps its artifacts in {place}, a folder of another project or machine. "
            f"{MEND}"
        )
