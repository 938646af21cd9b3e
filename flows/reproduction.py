"""A registered version made again: its code, data and parameters in a folder of their own, and what came of it.

What is compared are the bytes: of each stage's outs with the ``dvc.lock`` of the version, and of the bundle with the
one that is registered. Where they differ, the metrics say by how much.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from components.bundles import bundle
from components.project import batch_size, git, layout, params
from components.project.sections import KEPT
from components.registry import version_record, versions
from components.registry.versions import Version
from data.errors import UserError
from flows.retraining.machine import Machine
from flows.stages import dag, fork_server, time_limits
from flows.stages.process import StageFailed, StageProcess
from flows.workspace import pins

MADE_AGAIN = ("train", "evaluate", "export")
"""The kinds of stages that run in any case; data comes from DVC's cache or remote where it is there."""

_LOCK = Path("dvc.lock")

Tell = Callable[[str, str], None]
"""Called with a stage's address and what is to be said of it."""


@dataclass
class Reproduction:
    """What became of a version that was made again.

    Attributes:
        name: the model.
        version: its number.
        commit: the code's.
        stages: by address, whether its outs are the recorded ones, byte for byte.
        bundle: whether the bundle is the registered one, byte for byte.
        metrics: of each metric the registered value and the reproduced one.
        libraries: what is installed in another version than that code was locked to: name, then, now.
        processors: what it was trained on then, and what now; ``unknown`` where that is not on record.
        folder: where it was made; it is kept where something differs.
    """

    name: str
    version: int
    commit: str
    stages: dict[str, bool] = field(default_factory=dict)
    bundle: bool = False
    metrics: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    libraries: list[tuple[str, str, str]] = field(default_factory=list)
    processors: tuple[str, str] = ("unknown", "unknown")
    folder: Path | None = None

    @property
    def exact(self) -> bool:
        """Whether everything is as it was, byte for byte."""
        return self.bundle and all(self.stages.values())


def run(version: Version, tell: Tell) -> Reproduction:
    """Make ``version`` again in ``.darkroom/reproduce`` and compare.

    Raises:
        UserError: its code or its record is not there, or a stage failed.
    """
    made = Reproduction(version.name, version.number, _commit(version))
    limits = params.load().time_limits  # of today: how long a stage may take is no part of the recipe
    folder = layout.STATE.absolute() / "reproduce" / f"{version.name}-{version.number}"
    registered = json.loads((versions.fetch(version).folder / bundle.DESCRIPTION).read_text())["metrics"]
    with tempfile.TemporaryDirectory() as temporary:
        source = version_record.source(version, Path(temporary))
        project = _check_out(made.commit, folder, source)
        recorded = yaml.safe_load((source / _LOCK).read_text())["stages"]
    made.libraries = pins.others(project / pins.LOCK) if (project / pins.LOCK).exists() else []
    with contextlib.chdir(project):
        _make(made, recorded, limits, tell)
        made.bundle = bundle.sha256(layout.bundle(made.name)) == version.bundle_sha256
        made.processors = (version.tags.get("trained_on", "unknown"), version_record.trained_on(made.name))
        now = json.loads((layout.evaluated(made.name) / "metrics.json").read_text())["metrics"]
    made.metrics = {
        metric: (told["value"], now.get(metric, {}).get("value")) for metric, told in registered.items()
    }
    if made.exact:
        shutil.rmtree(folder)
    else:
        made.folder = project
    return made


def _commit(version: Version) -> str:
    """Return the commit of a version's code."""
    told = f"{version.name} version {version.number}"
    commit = version.tags.get("git_commit", "none")
    again = f"Commit what it is made of, and make it again: darkroom run --force {version.name}"
    if commit == "none":
        raise UserError(f"{told}: no git commit is on record for it. {again}")
    if version.tags.get("git_dirty") != "false":
        raise UserError(
            f"{told}: was made of files that were not committed to git ({commit[:12]} and changes), so git "
            f"does not have its code. {again}"
        )
    if git.ask("cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise UserError(f"{told}: this repository has no commit {commit[:12]}. Get it: git fetch --all")
    return commit


def _check_out(commit: str, folder: Path, source: Path) -> Path:
    """Clone this repository's ``commit`` into ``folder``, with this workspace's cache; return the project in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    top, below = git.ask("rev-parse", "--show-toplevel"), git.ask("rev-parse", "--show-prefix")
    for arguments in (
        ("clone", "--quiet", "--shared", "--no-checkout", top, str(folder)),
        ("-C", str(folder), "checkout", "--quiet", "--detach", commit),
    ):
        if git.ask(*arguments) is None:
            raise UserError(f"git {' '.join(arguments)}: failed.")
    project = folder / below
    for file in (_LOCK, params.FILE):
        shutil.copy(source / file, project / file)
    sizes = source / version_record.BATCH_SIZES
    if sizes.exists():
        with contextlib.chdir(project):
            for name, size in json.loads(sizes.read_text()).items():
                batch_size.keep(name, size, None)
    cache = _dvc(Path.cwd(), "cache", "dir").strip()
    local = Path(".dvc/config.local")
    if local.exists():
        shutil.copy(local, project / local)
    _dvc(project, "cache", "dir", "--local", cache)
    return project


def _make(made: Reproduction, recorded: dict[str, Any], limits: Mapping[str, float], tell: Tell) -> None:
    """Bring everything that the model is made from into the folder, and make the model."""
    stages = dag.select(dag.read(), [made.name])
    data = [stage.name for stage in stages if stage.kind not in MADE_AGAIN]
    # What the remote does not have is made again from its source.
    subprocess.run([sys.executable, "-m", "dvc", "fetch", "--quiet", *data], capture_output=True, check=False)
    machine, logs = Machine(), layout.STATE / "runs/reproduce"
    with fork_server.serve(logs, stages):
        for stage in stages:
            again = stage.kind in MADE_AGAIN
            if again:
                tell(stage.address, "is made again")
            try:
                with machine.gpus(_gpus(stage)) as gpus:
                    process = StageProcess(
                        stage.name,
                        logs / f"{stage.address}.log",
                        {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {},
                        programs=None if gpus else fork_server.programs(),
                        force=again,
                    )
                    how = process.run(time_limits.seconds(stage.kind, limits))
            except StageFailed as failed:
                raise UserError(f"{stage.address}: {failed}") from None
            then, now = (_outs(lock, stage.name) for lock in (recorded, _read_lock()))
            made.stages[stage.address] = then == now
            tell(stage.address, f"{how}; {'the same bytes' if then == now else 'other bytes'}")


def _gpus(stage: dag.Stage) -> int:
    """Return on how many GPUs a stage computes where there are some, by the parameters of the version."""
    if stage.kind not in ("train", "evaluate"):
        return 0
    values = yaml.safe_load(params.FILE.read_text())  # not checked: it was written for the code of that time
    entries = [section[stage.item] for key in KEPT if stage.item in (section := values.get(key) or {})]
    if entries[0].get("device", "auto") == "cpu":
        return 0
    return entries[0].get("gpus", 1) if stage.kind == "train" else 1


def _read_lock() -> dict[str, Any]:
    return yaml.safe_load(_LOCK.read_text())["stages"]


def _outs(stages: dict[str, Any], name: str) -> dict[str, str]:
    """Return the hash of each out of a stage in ``dvc.lock``."""
    return {out["path"]: out["md5"] for out in stages.get(name, {}).get("outs", ())}


def _dvc(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
