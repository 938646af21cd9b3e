"""How others bring photographs in a folder to a training: torchvision, ``datasets`` and ``webdataset``.

Each is as its documents have it: a transform of torchvision in worker processes, batches by PyTorch's ``DataLoader``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from data.prepared import SPLITS

Batch = tuple[Tensor, Tensor]
"""Images float32 [N, 3, H, W] in [0, 1], labels int64 [N]."""

FORK = "fork"
"""How workers start, as by default on Linux. Those of a process that was spawned would be spawned, too: they would
import everything in each pass."""

SHARD = 250
"""Photographs in a file of webdataset's."""


class Loading(NamedTuple):
    """What all have the same.

    Attributes:
        side: height and width of the pictures that are learned from, in pixels.
        batch: pictures a step.
        workers: processes that load the train split, and as many that load the validation split.
    """

    side: int
    batch: int
    workers: int

    def transform(self, split: str) -> transforms.Compose:
        """Return what makes a tensor of a picture; those that are learned from are mirrored at random."""
        flip = [transforms.RandomHorizontalFlip()] if split == "train" else []
        size = (self.side, self.side)
        return transforms.Compose([transforms.Resize(size), *flip, transforms.ToTensor()])

    def loader(self, images: Any, split: str, **options: Any) -> DataLoader:
        """Return ``DataLoader``'s batches of a split."""
        return DataLoader(
            images,
            self.batch,
            shuffle=split == "train",
            drop_last=split == "train",
            num_workers=self.workers,
            multiprocessing_context=FORK,
            **options,
        )


Loaders = dict[str, Iterable[Batch]]
"""The batches of each split; the train split in another order each time."""


def torchvision(folder: Path, loading: Loading) -> Loaders:
    """Return the batches of ``ImageFolder``."""
    return {
        split: loading.loader(ImageFolder(str(folder / split), loading.transform(split)), split)
        for split in SPLITS
    }


def datasets(folder: Path, loading: Loading) -> Loaders:
    """Return the batches of Hugging Face's ``imagefolder``."""
    from datasets import load_dataset  # ruff has no stubs of it, and it is nowhere but in the peers' folder

    cache = str(folder.parent / "datasets-cache")
    photographs = load_dataset("imagefolder", data_dir=str(folder), cache_dir=cache)

    def transformed(transform: Callable, rows: dict[str, list]) -> dict[str, list]:
        return rows | {"image": [transform(image.convert("RGB")) for image in rows["image"]]}

    def collate(rows: list[dict]) -> Batch:
        return torch.stack([row["image"] for row in rows]), torch.tensor([row["label"] for row in rows])

    return {
        split: loading.loader(
            photographs[split].with_transform(partial(transformed, loading.transform(split))),
            split,
            collate_fn=collate,
        )
        for split in SPLITS
    }


def webdataset(folder: Path, loading: Loading) -> Loaders:
    """Return the batches of tar files, which are written first where they are not there."""
    import webdataset as wds

    loaders: Loaders = {}
    for split in SPLITS:
        files = [str(file) for file in _tars(folder, split)]
        learned = split == "train"
        shuffle = {"shardshuffle": len(files), "seed": 0} if learned else {"shardshuffle": False}
        images = wds.WebDataset(files, empty_check=False, **shuffle)
        if learned:
            images = images.shuffle(2 * SHARD)
        batches = (
            images.decode("pil")
            .to_tuple("jpg", "cls")
            .map_tuple(loading.transform(split), int)
            .batched(loading.batch, partial=not learned)
        )
        loaders[split] = wds.WebLoader(
            batches, batch_size=None, num_workers=loading.workers, multiprocessing_context=FORK
        )
    return loaders


PEERS = {"torchvision": torchvision, "datasets": datasets, "webdataset": webdataset}


def _tars(folder: Path, split: str) -> list[Path]:
    """Return the tar files of a split, in which the photographs lie in a random order."""
    import webdataset as wds

    to = folder.parent / "webdataset"
    if not list(to.glob(f"{split}-*.tar")):
        to.mkdir(exist_ok=True)
        classes = sorted(path.name for path in (folder / split).iterdir())
        files = sorted((folder / split).glob("*/*.jpg"))
        with wds.ShardWriter(str(to / f"{split}-%04d.tar"), maxcount=SHARD, verbose=0) as shards:
            for number in np.random.default_rng(0).permutation(len(files)):
                file = files[number]
                label = classes.index(file.parent.name)
                shards.write({"__key__": file.stem, "jpg": file.read_bytes(), "cls": label})
    return sorted(to.glob(f"{split}-*.tar"))
