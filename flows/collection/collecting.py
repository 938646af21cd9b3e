"""Deleting what nothing needs, in an order that a kill leaves safe.

What names something goes before what it names: versions, their runs, copies of their bundles, then objects of DVC's.
The registry decides: where it does not answer nothing is deleted. A collection that was killed is taken up by the next.
"""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.filesize import decimal

from components.project import params
from components.project.sections import Params
from components.registry import ledger, mlflow_store, removal, versions
from components.registry import locks as registry_locks
from components.registry.ledger import Entry
from data.errors import UserError, first_line
from flows.collection import plan as planning
from flows.collection import state, stores
from flows.collection.plan import Line, Plan
from flows.processes import locks
from flows.stages import leftovers

if TYPE_CHECKING:
    from dvc.repo import Repo

Tell = Callable[[str], object]


def run(*, remote: bool, dry_run: bool, tell: Tell) -> list[Line]:
    """Delete what is not needed, unless ``dry_run``; return what stays and what goes.

    Args:
        remote: look at DVC's remote, too.
        dry_run: change nothing.
        tell: gets a line for whatever is waited for.

    Raises:
        UserError: the registry, git or the remote does not answer; others may use the remote; a run goes on.
    """
    from dvc.repo import Repo

    settings = params.load()
    users = _users(settings)
    if remote and not settings.gc.users:
        raise UserError(
            f"{params.FILE}: gc.users: is missing. Other projects and clones may need what lies in the DVC remote. "
            "Name the folders of all that use it, this one as '.': gc: {users: [.]}"
        )
    try:
        with ExitStack() as held, Repo(".") as repo:
            if not dry_run:
                _hold(users, repo, held, tell)
            plan = planning.make(settings, repo, users, remote=remote)
            if not dry_run:
                _carry_out(plan, settings, repo)
    except mlflow_store.MlflowException as error:
        raise UserError(
            f"The registry does not answer: {first_line(error)} What is needed stays. "
            "Once it answers, the same command goes on."
        ) from None
    return plan.lines


def _users(settings: Params) -> list[Path]:
    """Return the folders of the projects that use the cache and the remote.

    Raises:
        UserError: this one is not among those that are named, or one is no project.
    """
    named = [folder.expanduser().resolve() for folder in settings.gc.users]
    for folder in named:
        if not (folder / ".dvc").is_dir():
            raise UserError(f"{params.FILE}: gc.users: {folder}: no project of DVC's is there.")
    if named and Path.cwd() not in named:
        raise UserError(f"{params.FILE}: gc.users: this project is missing. Add '.': gc: {{users: [., ...]}}")
    return named or [Path.cwd()]


def _hold(users: Sequence[Path], repo: Repo, held: ExitStack, tell: Tell) -> None:
    """Keep all that could write away: runs, reproductions, people's ``dvc``, decisions of the gate."""
    for folder in users:
        with contextlib.chdir(folder):
            for name in (locks.RUN, locks.REPRODUCE):
                held.callback(locks.hold(name).release)
            leftovers.sweep(tell)
    held.enter_context(_dvc_lock(repo))
    held.enter_context(registry_locks.of_models(*sorted(versions.snapshot())))


@contextmanager
def _dvc_lock(repo: Repo) -> Iterator[None]:
    from dvc.lock import LockError

    try:
        repo.lock.lock()
    except LockError as error:
        raise UserError(f"DVC is at work in this folder: {first_line(error)}") from None
    try:
        yield
    finally:
        repo.lock.unlock()


def _carry_out(plan: Plan, settings: Params, repo: Repo) -> None:
    for model, found, runs in plan.models:
        removal.remove(model, found.gone(model), runs, settings.gc)
    with _recorded(plan, settings):
        for path in plan.paths:
            state.remove(path)
        for store, names in plan.objects:
            runs = Path(repo.stage_cache.cache_dir) if store.objects is repo.cache.local else None
            stores.remove(store, names, runs)


@contextmanager
def _recorded(plan: Plan, settings: Params) -> Iterator[None]:
    """Keep in the ledger what goes besides versions; nothing where nothing goes."""
    earlier = [entry for entry in ledger.history() if entry.kind == "collection" and not entry.model]
    key = f":collection:{len(earlier)}"
    left = ledger.interrupted(key)
    gone = [line for line in plan.lines if not line.why and line.where != "MLflow"]
    if not gone and not left:
        yield
        return
    entry = Entry(
        kind="collection",
        model="",
        version=0,
        bundle_sha256="",
        champion=None,
        reasons=tuple(
            f"removed: {line.where}: {line.count} {line.what}, {decimal(line.size)}" for line in gone
        ),
        by=getpass.getuser(),
    )
    evidence = {"removed": [line._asdict() for line in gone], "policy": settings.gc.model_dump(mode="json")}
    # One that was killed had removed some of what it was about to.
    with ledger.recording(entry, key, evidence | ({"killed before": left} if left else {})):
        yield
