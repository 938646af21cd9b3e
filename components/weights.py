"""Stage ``weights``: brings weights that others have trained, and compares them with the hash in ``params.yaml``.

``python -m components.weights NAME`` takes the entry ``weights.NAME``. What it leaves in ``artifacts/models/NAME/
train`` is a DVC out: it is in the cache and in the remote, so that a model that starts from it is made again without
the hub. It holds safetensors, the JSON files that came with them, and ``origin.json``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from components.project import layout, params
from components.project.command import main
from components.project.sections import WeightsParams
from data import atomic
from data.errors import UserError, nearest
from models.blocks import weight_files


def run(name: str) -> Path:
    """Bring the weights ``name`` and return their folder, ``layout.trained(name)``.

    Raises:
        UserError: there is no such entry, nothing lies where it says, or its weights have another hash.
    """
    known = params.load().weights
    if name not in known:
        raise UserError(f"{params.FILE}: no weights {name!r} under 'weights'.{nearest(name, known)}")
    entry, where = known[name], f"{params.FILE}: weights.{name}"
    place = weight_files.locate(entry.source, f"{where}.source")
    files = [place] if place.is_file() else weight_files.in_folder(place)
    if not files:
        raise UserError(
            f"{where}.source: {entry.source}: no weights there (*.safetensors; or name a .pth file)."
        )
    _check(where, entry, weight_files.sha256(files))
    with atomic.folder(layout.trained(name)) as folder:
        if place.is_file():
            _write(files[0], folder / weight_files.MODEL)
        else:
            for file in (*files, *sorted(place.glob("*.json"))):
                shutil.copyfile(file, folder / file.name)
        atomic.write_json(folder / weight_files.ORIGIN, {"name": name, **entry.model_dump()})
    return layout.trained(name)


def _check(where: str, entry: WeightsParams, found: str) -> None:
    if entry.sha256 is None:
        raise UserError(f"{where}.sha256: is missing. What lies there now is pinned by: sha256: {found}")
    if entry.sha256 != found:
        raise UserError(
            f"{where}.sha256: {entry.sha256[:12]} is pinned, but the weights of {entry.source} have {found}. If they"
            " were meant to change, write this hash; else get the right file."
        )


def _write(source: Path, target: Path) -> None:
    """Write one file of weights as safetensors, whatever it is."""
    from safetensors.torch import save_file

    tensors = weight_files.read([source])
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, target)


if __name__ == "__main__":
    main(run)
