"""What stays and what goes, in the registry, DVC's cache and remote, and ``.darkroom``: looked at, nothing changed."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from components.project import layout
from components.project.sections import Params
from components.registry import (
    artifact_places,
    ledger,
    mlflow_store,
    removal,
    retention,
    store_address,
    versions,
)
from components.registry.retention import Retention
from components.registry.versions import Model, Version
from components.serving.rollout.state import BUNDLES
from data.errors import UserError
from flows.collection import needed, state, stores
from flows.collection.needed import Need
from flows.collection.stores import Store

if TYPE_CHECKING:
    from dvc.repo import Repo
    from mlflow.entities import Run


class Line(NamedTuple):
    """A line of what is told.

    Attributes:
        where: a store.
        what: things in it.
        why: why they stay; empty where they go.
        count: how many.
        size: their bytes.
    """

    where: str
    what: str
    why: str
    count: int
    size: int


class Tidying(NamedTuple):
    """What goes of a model: versions by what :class:`Retention` says, and runs."""

    model: Model
    retention: Retention
    runs: list[Run]


@dataclass
class Plan:
    """What stays and what goes.

    Attributes:
        lines: all of it, for people.
        models: those of which something goes.
        objects: of each store of DVC's, what goes.
        paths: what goes in ``.darkroom``.
    """

    lines: list[Line] = field(default_factory=list)
    models: list[Tidying] = field(default_factory=list)
    objects: list[tuple[Store, list[str]]] = field(default_factory=list)
    paths: list[state.Found] = field(default_factory=list)


def make(settings: Params, repo: Repo, users: Sequence[Path], *, remote: bool) -> Plan:
    """Look at everything.

    Args:
        settings: ``params.yaml``.
        repo: DVC's view of this project.
        users: the projects that use the cache and the remote; this one alone where nobody said.
        remote: whether the remote is looked at.

    Raises:
        UserError: the registry, git or the remote does not answer, so that nobody knows what is needed.
    """
    registered, now = versions.snapshot(), time.time()
    _check_registry(registered)
    plan, stay, bundles = Plan(), [], set()
    for model in registered.values():
        found = _of_model(plan, model, settings, now)
        stay += found.kept(model)
        bundles |= found.bundles(model)
    _look_at_state(plan, settings, bundles, now)
    if _has_git(Path.cwd()):
        plan.lines += _loose_commits(stay)
    needs = list(_needs(settings, stay, users, plan, now))
    cache = stores.cache(repo)
    if stores.is_inside(repo) or settings.gc.users:
        _look_at_store(plan, cache, needs, [cache])
    else:
        others = f"lies outside of this project: gc.users of params.yaml does not say who uses {cache.objects.path}"
        plan.lines.append(Line(cache.name, "objects", others, len(cache.sizes), sum(cache.sizes.values())))
    if remote:
        there = stores.remote(repo)
        _look_at_store(plan, there, needs, [cache, there])
    return plan


def _check_registry(registered: dict[str, Model]) -> None:
    """See that the registry has not lost what it had, or is another one than the one that had it."""
    ours = any(version.bundle_sha256 for model in registered.values() for version in model.versions)
    if not ours and BUNDLES.is_dir() and any(BUNDLES.iterdir()):
        raise UserError(
            f"The registry has no version, but {BUNDLES} has bundles of some: nothing is deleted. "
            "Is MLFLOW_TRACKING_URI what it was?"
        )


def _of_model(plan: Plan, model: Model, settings: Params, now: float) -> Retention:
    """Say what of a model stays; of one of another project, in a registry that others use, everything."""
    now_ms = round(1e3 * now)
    found = retention.of(
        model, ledger.history(model.name), settings.gc, now_ms, settings.gate.get(model.name)
    )
    ours = model.name in settings.all_models or artifact_places.is_embedded(store_address.uri())
    if not ours:
        for reasons in found.reasons.values():
            reasons[:] = ["of another project"]
    runs = mlflow_store.settled(f"darkroom/{model.name}")
    sizes = {run.info.run_id: size for run, size in zip(runs, removal.sizes(runs), strict=True)}
    for why, kept in _by_reason(found, model).items():
        plan.lines.append(_versions_line(model, kept, why, sizes))
    gone = found.gone(model)
    unneeded = removal.unneeded(runs, model, found, settings.gc, now_ms) if ours else []
    if gone:
        plan.lines.append(_versions_line(model, gone, "", sizes))
    of_versions = {version.run_id for version in gone}
    others = [run.info.run_id for run in unneeded if run.info.run_id not in of_versions]
    if others:
        size = sum(sizes[run] for run in others)
        plan.lines.append(Line("MLflow", f"{model.name}: runs of no version", "", len(others), size))
    plan.models.append(Tidying(model, found, unneeded))
    return found


def _by_reason(found: Retention, model: Model) -> dict[str, list[Version]]:
    grouped: dict[str, list[Version]] = {}
    for version in found.kept(model):
        grouped.setdefault(", ".join(found.reasons[version.number]), []).append(version)
    return grouped


def _versions_line(model: Model, some: Sequence[Version], why: str, sizes: dict[str, int]) -> Line:
    size = sum(sizes.get(version.run_id, 0) for version in some)
    return Line("MLflow", f"{model.name} {removal.spans([v.number for v in some])}", why, len(some), size)


def _look_at_state(plan: Plan, settings: Params, bundles: set[str], now: float) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for found in state.look(settings, bundles, now):
        key = found.path.parent.name, found.why
        counts[key] += 1
        sizes[key] += found.size
        if not found.why:
            plan.paths.append(found)
    plan.lines += [
        Line(str(layout.STATE), what, why, counts[what, why], sizes[what, why]) for what, why in counts
    ]


def _loose_commits(stay: Sequence[Version]) -> Iterator[Line]:
    """Yield a line for each commit of versions that stay which git itself may delete."""
    there = needed.commits(Path.cwd())
    loose: dict[str, list[str]] = {}
    for version in stay:
        commit = version.tags.get("git_commit", "none")
        if commit != "none" and commit not in there:
            loose.setdefault(commit, []).append(f"{version.name}-{version.number}")
    for commit, names in loose.items():
        why = f"no branch or tag has it, so git may delete it: git tag {names[0]} {commit[:12]}"
        yield Line("git", f"the commit of {', '.join(names)}", why, 1, 0)


def _needs(
    settings: Params, stay: Sequence[Version], users: Sequence[Path], plan: Plan, now: float
) -> Iterator[Need]:
    """Yield who needs objects of DVC's; what several need is told of the first."""
    since = now - settings.gc.keep_days * 86_400
    yield Need("the workspace, from which runs and schedules go on", needed.by_workspace(Path.cwd()))
    if _has_git(Path.cwd()):
        yield from needed.by_git(Path.cwd(), since)
    yield Need("versions that stay: to be made again, and their bundles", needed.by_versions(stay))
    going = {found.path for found in plan.paths}
    kept = [folder for folder in (layout.STATE / "reproduce").glob("*") if folder not in going]
    yield Need("reproductions that differed", set().union(*map(needed.by_workspace, kept)))
    for folder in users:
        if folder != Path.cwd():
            with contextlib.chdir(folder):
                yield Need(f"the project in {folder}", _by_other_user(since))


def _by_other_user(since: float) -> set[str]:
    """Return all that the project in the working directory may need; which of its versions go is its own matter."""
    found = needed.by_workspace(Path.cwd())
    if _has_git(Path.cwd()):
        found.update(*(need.objects for need in needed.by_git(Path.cwd(), since)))
    if os.environ.get("MLFLOW_TRACKING_URI") or (layout.MLFLOW / "mlflow.db").exists():
        every = [version for model in versions.snapshot().values() for version in model.versions]
        found |= needed.by_versions(every)
    return found


def _has_git(folder: Path) -> bool:
    """Say whether DVC has git here; where it has, and git does not answer, nothing is known."""
    from dvc.repo import Repo

    return not Repo(str(folder)).config["core"].get("no_scm", False)


def _look_at_store(plan: Plan, store: Store, needs: Sequence[Need], trees: Sequence[Store]) -> None:
    left, asked = dict(store.sizes), set()
    for need in needs:
        wanted = stores.whole(need.objects - asked, trees)
        asked |= wanted
        there = [left.pop(name) for name in wanted if name in left]
        if there:
            plan.lines.append(Line(store.name, "objects", need.why, len(there), sum(there)))
    if left:
        plan.lines.append(Line(store.name, "objects", "", len(left), sum(left.values())))
    plan.objects.append((store, list(left)))
