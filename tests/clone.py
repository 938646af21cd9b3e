"""A clone of this checkout with a few of its models, and the commands that a person types in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.newcomer import Newcomer

ROOT = Path(__file__).parent.parent
SECTIONS = ("generators", "models", "fine_tuned")


class Project:
    """A folder with the project and the account of who works in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.newcomer = Newcomer(folder.with_name(f"{folder.name}-account"), os.environ)
        self.environment = {
            **self.newcomer.environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_AUTHOR_NAME": "t",
            "GIT_AUTHOR_EMAIL": "t@t",
            "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@t",
        }
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME"):
            self.environment.pop(name, None)

    def __call__(self, *command: str) -> subprocess.CompletedProcess:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def darkroom(self, *arguments: str) -> subprocess.CompletedProcess:
        return self("python", "-m", "flows", *arguments)

    def is_committed(self) -> bool:
        return self("git", "status", "--porcelain").stdout == ""


def make(folder: Path, models: list[str]) -> Project:
    """Return a clone in ``folder`` whose ``params.yaml`` trains ``models``.

    What is edited but not committed is cloned too.
    """
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / ".dvc/config.local").write_text(f"['remote \"local\"']\n    url = {folder.parent / 'remote'}\n")
    _keep(folder / "params.yaml", models)
    return Project(folder)


def _keep(file: Path, models: list[str]) -> None:
    """Put all models but these in the catalog, and drop the data sets that none of these needs."""
    settings = yaml.safe_load(file.read_text())
    for section in SECTIONS:
        entries = settings[section]
        settings["catalog"] |= {name: entry for name, entry in entries.items() if name not in models}
        settings[section] = {name: entries[name] for name in models if name in entries}
    needed = {entry["dataset"] for section in SECTIONS for entry in settings[section].values()}
    # What is derived names its parent's prepared data.
    needed |= {
        name
        for name in settings["datasets"]
        for user in needed
        if f"data/{name}/" in settings["datasets"][user]
    }
    settings["datasets"] = {name: read for name, read in settings["datasets"].items() if name in needed}
    judged = (settings["generators"] | settings["fine_tuned"]).values()
    settings["judges"] = [
        name for name in settings["judges"] if name in {entry["dataset"] for entry in judged}
    ]
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
