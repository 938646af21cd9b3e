"""The project's files as they are now, committed or not, for workspaces elsewhere.

They are a tree of git's, made with an index and a folder of objects aside: the branch, the index and the objects of the
project stay as they are. It travels as a pack, whose hashes git checks where it arrives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from components.project import git
from data.errors import UserError

LIMIT_MB = 500
"""How much the files may be. More than that are images that .gitignore should name."""

_LEFT_OUT = ("dvc.lock", ".darkroom")
"""What the head tells with each task, and what is this workspace's alone."""

_NOBODY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "darkroom", "EMAIL": "darkroom", "DATE": "@0 +0000"}.items()
}


def take(pack: Path) -> str:
    """Write the files of the project in the working directory to ``pack`` and return the snapshot's name.

    What ``.gitignore`` names is left out. The same files have the same name, whoever takes the snapshot.

    Raises:
        UserError: the project is in no git repository, or its files are more than :data:`LIMIT_MB`.
    """
    _refuse_heaps()
    with tempfile.TemporaryDirectory() as temporary:
        objects = Path(temporary, "objects")
        objects.mkdir()
        known, index = (
            Path(_git("rev-parse", "--git-path", name)).absolute() for name in ("objects", "index")
        )
        if index.exists():  # with what it notes of files' times: the unchanged ones are not read
            shutil.copy2(index, Path(temporary, "index"))
        aside = {
            "GIT_INDEX_FILE": f"{temporary}/index",
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(known),
        }
        # Of an ignored path git says that it will not add it, even where it is told to leave it out.
        left_out = [f":(exclude){name}" for name in _LEFT_OUT if git.ask("check-ignore", "-q", name) is None]
        _git("add", "--all", "--", ".", *left_out, environment=aside)
        _git("rm", "-r", "--quiet", "--cached", "--ignore-unmatch", "--", *_LEFT_OUT, environment=aside)
        tree = _git("write-tree", environment=aside)
        tree = _git("rev-parse", f"{tree}:{_git('rev-parse', '--show-prefix')}", environment=aside)
        commit = _git("commit-tree", "-m", "snapshot", tree, environment=aside | _NOBODY)
        with pack.open("wb") as file:
            _run(["pack-objects", "--quiet", "--revs", "--stdout"], aside, input=commit.encode(), stdout=file)
    return commit


def check_out(name: str, pack: Path, folder: Path) -> None:
    """Make ``folder`` a git repository with the files of the snapshot ``name``, which ``pack`` holds.

    Raises:
        UserError: ``pack`` is damaged or another snapshot's.
    """
    folder.mkdir(parents=True)
    _run(["init", "--quiet"], {}, cwd=folder)
    with pack.open("rb") as file:
        _run(["index-pack", "--stdin"], {}, cwd=folder, stdin=file)
    _run(["reset", "--quiet", "--hard", name], {}, cwd=folder)


def _refuse_heaps() -> None:
    sizes = {}
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        path = Path(name)
        if name and path.is_file() and path.parts[0] not in _LEFT_OUT:
            sizes[name] = path.stat().st_size
    if sum(sizes.values()) > LIMIT_MB * 1e6:
        largest = max(sizes, key=sizes.__getitem__)
        raise UserError(
            f"{sum(sizes.values()) / 1e6:.0f} MB of files would go to each worker, more than {LIMIT_MB} MB; the "
            f"largest is {largest}. Name images and other data in .gitignore: DVC brings what stages need of them."
        )


def _git(*arguments: str, environment: dict[str, str] | None = None) -> str:
    return _run(list(arguments), environment or {}, stdout=subprocess.PIPE).stdout.decode().strip()


def _run(arguments: list[str], environment: dict[str, str], **options: object) -> subprocess.CompletedProcess:
    try:
        done = subprocess.run(
            ["git", *arguments],
            env={**os.environ, **environment},
            **{"stdout": subprocess.DEVNULL, **options},
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError:
        raise UserError(
            "git: is not installed, and stages elsewhere get the project's files by it."
        ) from None
    if done.returncode != 0:
        raise UserError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done
