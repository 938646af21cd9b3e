"""What may be wrong with this machine and this project, and how to mend it: nothing is changed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components.project import git, layout, lineage, params
from data.errors import UserError
from flows.prefect_api import address
from flows.processes import locks
from flows.retraining import machine
from flows.stages import cache_check, dag, fork_server
from flows.workspace import pins, settings_check

PYTHONS = ((3, 11), (3, 12))
ROOM_GB = 5
"""Less room than this is told: data, checkpoints and DVC's copies of them need it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: what.
        state: ``good``; ``note``, worth knowing; ``bad``, something will not work.
        says: what was found.
        mend: what to do about it.
    """

    about: str
    state: Literal["good", "note", "bad"]
    says: str
    mend: str = ""


def examine(*, cache: bool = False) -> Iterator[Finding]:
    """Yield what is found, one look after the other; a look that fails is a finding, too.

    With ``cache``, every object of DVC's cache is hashed as well, which takes a second for some hundred megabytes.
    """
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "python": _python,
        "libraries": _libraries,
        "git": _git,
        "params.yaml": _params,
        "dvc": _dvc,
        "fork server": _fork_server,
        "gpu": _gpu,
        "mlflow": _mlflow,
        "prefect": _prefect,
        "disk": _disk,
        "locks": _locks,
    }
    if cache:
        looks["cache"] = _cache
    for about, look in looks.items():
        try:
            yield from look()
        except UserError as error:
            yield Finding(about, "bad", str(error))
        except Exception as error:  # of any library: what is broken is what is being looked for
            yield Finding(about, "bad", f"{type(error).__name__}: {error}")


def _python() -> Iterator[Finding]:
    says = f"{sys.version.split()[0]}, {sys.executable}"
    if sys.version_info[:2] in PYTHONS:
        yield Finding("python", "good", says)
    else:
        known = " or ".join(".".join(map(str, version)) for version in PYTHONS)
        yield Finding("python", "bad", says, f"Darkroom is made for {known}.")


def _libraries() -> Iterator[Finding]:
    others = pins.others(pins.LOCK)
    if not others:
        yield Finding("libraries", "good", f"as {pins.LOCK} says")
    for name, pinned, installed in others:
        yield Finding(
            "libraries",
            "note",
            f"{name} {installed}; {pins.LOCK} says {pinned}",
            f"{_pip()} --no-deps -r {pins.LOCK}",
        )


def _pip() -> str:
    """Return what to type so that pip installs for this Python, whichever the shell has."""
    return f"{shlex.quote(os.path.relpath(sys.executable))} -m pip install"


def _git() -> Iterator[Finding]:
    commit = git.ask("rev-parse", "--short", "HEAD")
    if commit is None:
        yield Finding(
            "git", "bad", "no commit here", "Versions are traced to commits: git init; git add .; git commit"
        )
    elif git.is_changed():
        told = "What is registered now cannot be made again by darkroom reproduce: commit first."
        yield Finding("git", "note", f"{commit} and changes that are not committed", told)
    else:
        yield Finding("git", "good", commit)


def _params() -> Iterator[Finding]:
    settings = params.load()
    lineage.check(settings.datasets)
    settings_check.check(settings)
    many = f"{len(settings.all_models)} models, {len(settings.datasets)} data sets, {len(settings.schedules)} schedules"
    yield Finding("params.yaml", "good", many)
    for name in settings.all_models:
        if not (name in settings.gate and settings.gate[name].thresholds):
            yield Finding(
                "params.yaml",
                "note",
                f"gate.{name}: no thresholds: no version of it becomes champion",
                f"gate: {{{name}: {{thresholds: {{METRIC: {{at_least: NUMBER}}}}}}}}",
            )


def _dvc() -> Iterator[Finding]:
    from dvc.repo import Repo

    project = dag.Project()
    stages = project.stages()
    repo = Repo(".")
    links = set(repo.config["cache"].get("type") or ())
    if links & {"hardlink", "symlink"}:
        mend = "dvc config cache.type reflink,copy"
        yield Finding("dvc", "bad", "cache.type: ONNX refuses files that are links", mend)
    remote = repo.config["core"].get("remote")
    if remote is None:
        yield Finding(
            "dvc", "bad", "no default remote: runs cannot push", "dvc remote add --default NAME URL"
        )
        return
    store = repo.cloud.get_remote_odb(remote)
    store.fs.exists(store.path)  # raises where it cannot be reached
    stale = len(project.changed(stages, timeout_s=0))
    state = (
        f"{stale} of {len(stages)} stages are not up to date"
        if stale
        else f"{len(stages)} stages are up to date"
    )
    yield Finding("dvc", "good", f"{state}; remote {remote}: {repo.config['remote'][remote]['url']}")


def _cache() -> Iterator[Finding]:
    from dvc.repo import Repo

    folder = Path(Repo(".").cache.local.path)
    bad = list(cache_check.damaged(folder))
    for file in bad:
        mend = f"rm -f {file}, and darkroom run makes or fetches it again"
        yield Finding("cache", "bad", f"{file} holds other bytes than its name says", mend)
    if not bad:
        yield Finding("cache", "good", f"{folder}: every object is what its name says")


def _fork_server() -> Iterator[Finding]:
    if not fork_server.is_on():
        told = f"{fork_server.SWITCH}=0: every stage loads its libraries anew, which takes seconds"
        yield Finding("fork server", "note", told, f"unset {fork_server.SWITCH}")


def _gpu() -> Iterator[Finding]:
    found = machine.gpus()
    if not found:
        yield Finding("gpu", "note", "none: models train on the CPU, where full presets take days")
        return
    import onnxruntime
    import torch

    if not torch.cuda.is_available():
        yield Finding(
            "gpu",
            "bad",
            f"{len(found)}, which PyTorch cannot use",
            "Is the driver new enough? nvidia-smi says.",
        )
    elif "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        yield Finding("gpu", "bad", "ONNX Runtime has no CUDA provider", _onnxruntime())
    else:
        yield Finding(
            "gpu", "good", ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        )


def _onnxruntime() -> str:
    """Return what to type for ONNX Runtime with CUDA: the package without it has the same files."""
    pinned = [line for line in pins.LOCK.read_text().splitlines() if line.startswith("onnxruntime-gpu==")]
    return f"{_pip()} --force-reinstall --no-deps {' '.join(pinned) or 'onnxruntime-gpu'}"


def _mlflow() -> Iterator[Finding]:
    from components.registry import artifact_places, ledger, mlflow_store, store_address, versions

    for folder in artifact_places.moved_from(store_address.uri()):
        says = f"the project was in {folder}: MLflow's paths of artifacts are brought here when the registry is opened"
        yield Finding("mlflow", "note", says)
    ledger.history()  # where status looks, too: its experiment may be gone
    where = "MLFLOW_TRACKING_URI" if os.environ.get("MLFLOW_TRACKING_URI") else str(layout.MLFLOW)
    models = versions.snapshot().values()
    champions = [version for model in models if (version := model.alias("champion"))]
    yield Finding("mlflow", "good", f"{where}: {len(models)} registered models, {len(champions)} champions")
    if not artifact_places.is_embedded(store_address.uri()):
        yield from _artifacts(mlflow_store.places())
    for version in champions:
        try:
            versions.fetch(version)
        except UserError as error:
            yield Finding("mlflow", "bad", str(error))


def _artifacts(places: list[str]) -> Iterator[Finding]:
    """Yield what is wrong with where a registry that others share keeps its artifacts."""
    from components.registry import artifact_places

    local = [place for place in places if not artifact_places.is_shared(place)]
    here = [place for place in local if artifact_places.is_here(place)]
    elsewhere = [place for place in local if place not in here]
    for found, state, what in (
        (here, "note", "in this folder, out of other machines' reach"),
        (elsewhere, "bad", "in a folder of another project or machine"),
    ):
        if found:
            says = f"{len(found)} of {len(places)} experiments keep artifacts {what}: {found[0]}"
            yield Finding("mlflow", state, says, artifact_places.MEND)


def _prefect() -> Iterator[Finding]:
    url = address.tidy()
    if not url:
        yield Finding("prefect", "good", f"a run starts its own server, in {layout.STATE / 'prefect'}")
        return
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            yield Finding("prefect", "good", url)
    except (urllib.error.URLError, OSError, ValueError) as error:
        mend = "Start it, or unset the variable: runs then start their own."
        yield Finding("prefect", "bad", f"PREFECT_API_URL={url}: no answer ({error})", mend)


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    mend = "darkroom gc" if free < ROOM_GB else ""
    yield Finding("disk", "bad" if free < ROOM_GB else "good", f"{free:.0f} GB free here", mend)


def _locks() -> Iterator[Finding]:
    for name, what in ((locks.RUN, "a run goes on"), (locks.SCHEDULE, "schedules are kept")):
        held = locks.take(name)
        if held is None:
            yield Finding("locks", "note", f"{what} in this folder")
        else:
            held.release()
