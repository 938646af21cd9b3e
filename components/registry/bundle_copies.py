"""Other copies of a version's bundle, for when MLflow's is out of reach: what a bundle is, is known by its hash.

The folder of artifacts beside this project, the exported bundle of the present run, DVC's cache and DVC's remote.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.bundles import bundle
from components.project import dvc_lock, layout
from data.errors import first_line

DVC_TAG = "bundle_dvc_md5"
"""Tag of a version: what DVC calls the folder of its bundle."""

_NONE = "none"


def dvc_name(name: str) -> str:
    """Return what ``dvc.lock`` calls the present bundle of model ``name``; ``none`` where it does not know it."""
    return dvc_lock.outs(name).get(layout.bundle(name).as_posix(), _NONE)


def look(name: str, run_id: str, tags: dict[str, str], to: Path) -> Iterator[str]:
    """Write one copy after the other to ``to`` and yield where each came from, or why a place gave none.

    The caller looks whether it is the right one, whole.
    """
    near = (layout.MLFLOW / "artifacts").glob(f"*/{run_id}/artifacts/model/bundle") if run_id else ()
    for folder in (*near, layout.bundle(name)):
        if (folder / bundle.DESCRIPTION).is_file():
            _clear(to)
            try:
                shutil.copytree(folder, to)
            except OSError:  # a link to nowhere, a file without rights: shutil names all of them in one line
                yield f"{folder}: cannot be read whole"
            else:
                yield str(folder)
    if (md5 := tags.get(DVC_TAG, _NONE)) != _NONE:
        yield from _look_in_dvc(md5, to)


def _look_in_dvc(md5: str, to: Path) -> Iterator[str]:
    try:
        from dvc.repo import Repo

        repo = Repo(".")
    except Exception as error:  # no DVC where it only serves; DVC's own kinds where the project has none
        yield f"DVC: {first_line(error)}"
        return
    with repo:
        for place, store in {
            "DVC's cache": lambda: repo.cache.local,
            "the DVC remote": repo.cloud.get_remote_odb,
        }.items():
            _clear(to)
            try:
                _read(store(), md5, to)
            except Exception as error:  # of any kind of remote
                yield f"{place}: {first_line(error)}"
            else:
                yield place


def _read(store: Any, md5: str, to: Path) -> None:
    """Write the files of a bundle from a DVC store; names that the store gives are not taken as paths."""
    listed = json.loads(store.fs.cat_file(store.oid_to_path(md5)))
    objects = {entry["relpath"]: entry["md5"] for entry in listed}
    described = store.fs.cat_file(store.oid_to_path(objects[bundle.DESCRIPTION]))
    to.mkdir(parents=True)
    (to / bundle.DESCRIPTION).write_bytes(described)
    for file in bundle.files_of(json.loads(described)):
        path = to / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.fs.cat_file(store.oid_to_path(objects[file])))


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
