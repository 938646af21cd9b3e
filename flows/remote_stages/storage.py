"""Files of Darkroom's own on a DVC remote, beside DVC's objects and with DVC's own means."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data.errors import UserError

OWN = "darkroom"
"""Folder for what is no object of DVC's: ``dvc gc --cloud`` leaves it alone."""

_WHOLE = ("local", "s3", "gs", "azure", "oss")
"""Protocols by which a file arrives as a whole or not at all. By the others it is written aside, and renamed."""


class Storage:
    """The place that a DVC remote is."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Open the remote with these ``settings``: ``url`` and what else ``.dvc/config`` says of it."""
        from dvc.fs import get_cloud_fs

        kind, config, self._root = get_cloud_fs(None, **settings)
        self._fs = kind(**config)

    def put(self, file: Path, name: str) -> None:
        """Write the content of ``file`` to ``name``, a path below the remote, in place of what is there."""
        from dvc_objects.fs.utils import as_atomic

        target = self._path(name)
        self._fs.makedirs(self._fs.parent(target))
        if self._fs.protocol in _WHOLE:
            self._fs.put_file(str(file), target)
        else:
            with as_atomic(self._fs, target) as aside:
                self._fs.put_file(str(file), aside)

    def get(self, name: str, file: Path) -> bool:
        """Write the content of ``name`` to ``file``, as a whole or not at all; return whether there is any."""
        from dvc_objects.fs import localfs
        from dvc_objects.fs.utils import as_atomic

        try:
            with as_atomic(localfs, str(file), create_parents=True) as aside:
                self._fs.get_file(self._path(name), aside)
        except FileNotFoundError:
            return False
        return True

    def names(self, folder: str) -> list[str]:
        """Return the files in ``folder`` and below, sorted, as paths below ``folder``."""
        path = self._path(folder)
        self._fs.fs.invalidate_cache()  # others write here as well
        if not self._fs.exists(path):
            return []
        found = (self._fs.as_posix(self._fs.relpath(one, path)) for one in self._fs.find(path))
        # Some servers of S3 list an empty folder as itself.
        return sorted(one for one in found if one != "." and not one.endswith(".tmp"))

    def remove(self, name: str) -> None:
        """Remove a file; that another has removed it already is no error."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def remove_all(self, folder: str) -> None:
        """Remove the files in ``folder`` and below."""
        for name in self.names(folder):
            self.remove(f"{folder}/{name}")

    def _path(self, name: str) -> str:
        return self._fs.join(self._root, *name.split("/"))


class Remote(NamedTuple):
    """A DVC remote, as everybody may know it.

    Attributes:
        name: in DVC's configuration.
        settings: ``url`` and what else ``.dvc/config`` says of it.
    """

    name: str
    settings: dict[str, str]


def of_project() -> Remote:
    """Return the default remote of the project in the working directory, for workers.

    Without what ``.dvc/config.local`` adds, which is for this clone alone and often a password.

    Raises:
        UserError: there is no default remote, or ``.dvc/config`` does not have it.
    """
    from dvc.config import Config

    config = Config.from_cwd()
    name = config["core"].get("remote")
    if name is None:
        raise UserError(
            ".dvc/config: core.remote: is missing: a stage elsewhere gets its data from the default remote. "
            "Add one: dvc remote add --default NAME URL"
        )
    told = config.load_one("repo")["remote"].get(name.lower())
    if told is None or "url" not in told:
        raise UserError(
            f".dvc/config: remote {name!r} is not in it, so workers cannot know where it is. What may stand in "
            ".dvc/config.local are passwords; each worker has its own."
        )
    return Remote(name, {"verify": "true"} | {key: str(value) for key, value in told.items()})


def open_here(remote: Remote) -> Storage:
    """Open a remote as the project in the working directory may: with its own passwords."""
    from dvc.config import Config

    return Storage(Config.from_cwd()["remote"].get(remote.name.lower(), {}) | remote.settings)


def open_elsewhere(remote: Remote) -> Storage:
    """Open a remote as a worker may: with what the machine's and the account's DVC configuration say of it."""
    from dvc.config import Config

    own = Config(validate=False)["remote"]  # a password alone, without where, is no valid remote
    return Storage(own.get(remote.name.lower(), {}) | remote.settings)
