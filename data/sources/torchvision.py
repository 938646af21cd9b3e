"""Data sets that torchvision knows where to download; a local folder of the same files is tried first."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from data.errors import UserError, nearest
from data.sources import Arrays, idx
from data.spec import DatasetSpec

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
ENVIRONMENT = "DARKROOM_FASHION_MNIST"

FASHION_MNIST = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""The four files, and the SHA-256 of what each decompresses to."""


def load(name: str, spec: DatasetSpec) -> Arrays:
    """Return the data set ``name``.

    Raises:
        UserError: there is none of that name, its files are damaged, or they are not here and cannot be downloaded.
    """
    if name != "fashion_mnist":
        raise UserError(
            f"data/{name}/dataset.yaml: source: no torchvision data set {name!r}."
            f"{nearest(name, ['fashion_mnist'])}"
        )
    return _fashion_mnist(_folder(name, spec), spec.classes or tuple("0123456789"))


def _fashion_mnist(folder: Path, classes: tuple[str, ...]) -> Arrays:
    if len(classes) != 10:
        raise UserError(f"data/fashion_mnist/dataset.yaml: classes: {len(classes)} names for 10 classes.")
    parts = [_part(folder, classes, "test", "t10k"), _part(folder, classes, "train", "train")]
    return Arrays(
        ids=parts[0].ids + parts[1].ids,
        sources=parts[0].sources + parts[1].sources,
        splits=parts[0].splits + parts[1].splits,
        labels=parts[0].labels + parts[1].labels,
        images=np.concatenate([part.images for part in parts]),
    )


def _part(folder: Path, classes: tuple[str, ...], split: str, prefix: str) -> Arrays:
    image_file, label_file = f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"
    images = idx.read(folder / image_file, FASHION_MNIST[image_file])
    labels = idx.read(folder / label_file, FASHION_MNIST[label_file])
    return Arrays(
        ids=[f"{split}/{index:05d}" for index in range(len(images))],
        sources=[image_file] * len(images),
        splits=[split] * len(images),
        labels=[classes[label] for label in labels],
        images=images[..., None],
    )


def _folder(name: str, spec: DatasetSpec) -> Path:
    """Return the folder that holds the four files: one that is named must, one that may be there is tried."""
    named = {f"data/{name}/dataset.yaml: folder": spec.folder, ENVIRONMENT: os.environ.get(ENVIRONMENT)}
    for where, folder in named.items():
        if folder:
            if missing := _missing(Path(folder)):
                raise UserError(
                    f"{where}: {folder} has no {missing[0]}. It needs: {', '.join(FASHION_MNIST)}."
                )
            return Path(folder)
    downloaded = Path("data") / name / "files"
    for folder in (downloaded / "FashionMNIST" / "raw", DEBIAN_FOLDER):
        if not _missing(folder):
            return folder
    return _download(downloaded)


def _missing(folder: Path) -> list[str]:
    return [name for name in FASHION_MNIST if not (folder / name).is_file()]


def _download(root: Path) -> Path:
    # torchvision takes seconds to import, so only who downloads pays for it.
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"Fashion-MNIST could not be downloaded to {root}: {error}. Put its four files in a folder and"
            f" name it in data/fashion_mnist/dataset.yaml (folder:) or in the environment as {ENVIRONMENT}."
        ) from None
    return root / "FashionMNIST" / "raw"
