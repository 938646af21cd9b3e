"""A project with five versions of a model: real git, DVC with a remote, and registry; stages that copy what was made.

Versions 1, 2 and 4 became champion, 5 is challenger. The data changed with version 3. Version 1's commit has a tag.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import yaml

from components import register
from components.project import layout
from components.promotion import champion
from components.registry import versions
from components.registry.versions import Version
from tests.components import workspace

DVC_YAML = """
stages:
  prepare:
    cmd: mkdir -p artifacts/data/shapes/prepared && cp -r made/data/* data-seed artifacts/data/shapes/prepared/
    deps: [data-seed]
    outs: [artifacts/data/shapes/prepared]
  train:
    cmd: mkdir -p artifacts/models/m/train && cp seed made/history.csv artifacts/models/m/train/
    deps: [artifacts/data/shapes/prepared/data-seed, seed]
    outs: [artifacts/models/m/train]
  export:
    cmd: mkdir -p artifacts/bundles && cp -r made/bundle-$(cat seed) artifacts/bundles/m
    deps: [artifacts/models/m]
    outs: [artifacts/bundles/m]
  other:
    cmd: mkdir -p artifacts/models/other && cp seed artifacts/models/other/train
    deps: [seed]
    outs: [artifacts/models/other/train]
"""
STAY = (2, 4, 5)
"""Versions that stay by ``gc: {keep_versions: 1, keep_days: 0}``."""


def make(folder: Path) -> None:
    """Make it in ``folder``, the working directory, which holds an empty embedded registry."""
    from dvc.repo import Repo

    workspace.make(folder)
    settings = yaml.safe_load(Path("params.yaml").read_text())
    settings["gc"] = {"keep_versions": 1, "keep_days": 0, "users": ["."]}
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    Path("dvc.yaml").write_text(DVC_YAML)
    Path(".gitignore").write_text("artifacts/\n.darkroom/\nmade/\n.remote/\n__pycache__/\n")
    for number in range(1, 6):
        workspace.export(seed=number)
        layout.bundle("m").rename(_made(f"bundle-{number}"))
    layout.prepared(workspace.DATASET).rename(_made("data"))
    (layout.trained("m") / "history.csv").rename(_made("history.csv"))
    _git("init", "-q", "-b", "main")
    Repo.init(".").close()
    Path(".dvc/config").write_text(
        "[core]\n    remote = r\n    analytics = false\n['remote \"r\"']\n    url = ../.remote\n"
    )
    for number in range(1, 6):
        _version(number)
        if number in (1, 2, 4):
            _promote(number)
        if number == 1:
            _git("tag", "first")


def _made(name: str) -> Path:
    Path("made").mkdir(exist_ok=True)
    return Path("made") / name


def _version(number: int) -> None:
    from dvc.repo import Repo

    Path("seed").write_text(f"{number}")
    Path("data-seed").write_text("old" if number < 3 else "new")
    commit("code")
    with Repo(".") as repo:
        repo.reproduce()
        repo.push()
    assert register.run("m").version == number
    versions.fetch(versions.find("m", number))
    commit("results")


def commit(message: str) -> None:
    _git("add", "-A")
    _git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", message)


def _promote(number: int) -> None:
    model = versions.model("m")
    champion.move(
        model,
        model.version(number),
        model.alias("champion"),
        kind="promotion",
        by="ada",
        reasons=[],
        evidence={},
    )


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def staying() -> list[Version]:
    return [versions.find("m", number) for number in STAY]


def stores() -> list[Path]:
    """Return where the objects of the cache and of the remote lie."""
    return [Path(".dvc/cache/files/md5"), Path(".remote/files/md5")]


def objects(store: Path) -> set[str]:
    """Return the names of what is there, each hashed."""
    found = set()
    for file in store.glob("*/*"):
        name = file.parent.name + file.name
        assert hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() == name.removesuffix(".dir")
        found.add(name)
    return found


def whole(store: Path, names: set[str]) -> set[str]:
    """Return ``names``, all of which are there, with what those of folders name."""
    found = set(names)
    for name in names:
        content = (store / name[:2] / name[2:]).read_bytes()
        if name.endswith(".dir"):
            found |= {entry["md5"] for entry in json.loads(content)}
    return found


def outs(lock: str) -> dict[str, set[str]]:
    """Return the objects of each stage of a ``dvc.lock``."""
    stages = yaml.safe_load(lock)["stages"]
    return {name: {out["md5"] for out in stage["outs"]} for name, stage in stages.items()}


def committed(revision: str) -> str:
    shown = subprocess.run(
        ["git", "show", f"{revision}:dvc.lock"], check=True, capture_output=True, text=True
    )
    return shown.stdout


def copy(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, symlinks=True)
