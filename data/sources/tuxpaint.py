"""The photographs of Debian's package ``tuxpaint-stamps-default``: cut out, by category, each with an English caption.

They are under the GNU General Public License, so they are read where the package puts them and are no part of this
project. Beside each PNG file lies a text file whose first line is what the picture shows, in English. What is drawn
is left out (letters and signs below ``symbols``, folders named ``cartoon``), and so are mirrored pictures, which have
no text.
"""

from __future__ import annotations

import os
from pathlib import Path

from data.errors import UserError, nearest
from data.sources import ImageFile
from data.spec import DatasetSpec

PACKAGE = "tuxpaint-stamps-default"
DEBIAN_FOLDER = Path("/usr/share/tuxpaint/stamps")
ENVIRONMENT = "DARKROOM_TUXPAINT_STAMPS"
DRAWN = frozenset({"symbols", "cartoon"})


def load(name: str, spec: DatasetSpec) -> list[ImageFile]:
    """Return the photographs, sorted by id, labelled with the top folder that each lies in; images are not opened.

    Only the categories that ``spec.classes`` names are taken; without it all are.

    Raises:
        UserError: the package's folder is not there, or has no such category.
    """
    folder = _folder(name, spec)
    photographs = [path for path in sorted(folder.rglob("*.png")) if _is_photograph(path, folder)]
    categories = {_category(path, folder) for path in photographs}
    for wanted in spec.classes or ():
        if wanted not in categories:
            known = nearest(wanted, categories)
            raise UserError(
                f"data/{name}/dataset.yaml: classes: {folder} has no photographs of {wanted!r}.{known}"
            )
    return [
        ImageFile(
            id=path.relative_to(folder).as_posix(),
            folder=folder,
            name=path.relative_to(folder).as_posix(),
            split="",
            label=_category(path, folder),
            text=_caption(path) if spec.captions is not None else None,
        )
        for path in photographs
        if spec.classes is None or _category(path, folder) in spec.classes
    ]


def _folder(name: str, spec: DatasetSpec) -> Path:
    """Return the folder of the stamps: one that is named must be there, else it is where Debian puts it."""
    named = {f"data/{name}/dataset.yaml: folder": spec.folder, ENVIRONMENT: os.environ.get(ENVIRONMENT)}
    where, folder = next(
        ((where, Path(folder)) for where, folder in named.items() if folder),
        (f"data/{name}/dataset.yaml: source: tuxpaint", DEBIAN_FOLDER),
    )
    if next(folder.glob("*/**/*.png"), None) is None:
        raise UserError(
            f"{where}: no stamps in {folder}. Install Debian's package: apt-get install {PACKAGE}; or name a folder"
            f" that has its content, in {ENVIRONMENT} or as 'folder'."
        )
    return folder


def _is_photograph(path: Path, folder: Path) -> bool:
    folders = path.relative_to(folder).parts[:-1]
    return bool(folders) and DRAWN.isdisjoint(folders) and path.with_suffix(".txt").is_file()


def _category(path: Path, folder: Path) -> str:
    return path.relative_to(folder).parts[0]


def _caption(path: Path) -> str:
    return path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()[0].strip()
