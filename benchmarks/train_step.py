"""Images a second of a training: ours against a plain script with torchvision's data set and PyTorch's DataLoader.

``python -m benchmarks.train_step [--families mlp cnn vit] [--steps N] [--threads N] [--json FILE]``, after
``darkroom run fashion-logreg`` has prepared the data. Both sides train the same network from the same family and preset
on the same images with the same batch size and AdamW, in turns, in one process; a warm-up comes first. The plain side
is what a tutorial writes: images decoded one by one, shifted and normalised by transforms, collated by worker
processes, and a loss that is read at each step. Ours also averages its weights and clips its gradients.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType

import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import models
from benchmarks.command import described, keep
from components.project import layout
from data.prepared import PreparedData, Split
from models.run import Run
from models.settings import Settings, configure

WARM_UP = 5


def main() -> None:
    """Measure, print a table, and write it as JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("--families", nargs="+", default=["mlp", "cnn", "vit"])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that load data on the plain side")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = PreparedData(layout.prepared("fashion_mnist"))
    results = {}
    for name in options.families:
        family = models.family(name)
        config = configure(family.Config, "quick", {"epochs": 1, "least_steps": 1}, "benchmark")
        ours = _ours(family, config, data, options.steps, options.threads)
        plain = _plain(family, config, data, options.steps, options.workers)
        results[name] = {"ours": ours, "plain": plain, "ratio": ours / plain}
        print(f"{name:8} {ours:10.0f} images/s, plain {plain:10.0f}, {ours / plain:.2f} times as many")
    keep(results, options.json)


def _ours(family: ModuleType, config: Settings, data: PreparedData, steps: int, threads: int) -> float:
    """Train on as many images as ``steps`` need; a warm-up run before it pays what is paid once."""
    for number in (WARM_UP, steps):
        images = number * config.batch_size
        part = _Part(data, _head(data.train, images), _head(data.validation, 1))
        with Run("benchmark", threads=threads) as run:
            model = family.build(config, data.spec)
            started = time.perf_counter()
            family.fit(model, part, run)
            seconds = time.perf_counter() - started
    return images / seconds


class _Part:
    """The first examples of a data set."""

    def __init__(self, data: PreparedData, train: Split, validation: Split) -> None:
        self.spec, self.train, self.validation = data.spec, train, validation


def _head(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count], split.ids[:count])


class _Images(Dataset):
    """As torchvision's data sets: an image of PIL's through a transform, one at a time."""

    def __init__(self, split: Split, transform: transforms.Compose) -> None:
        self.images, self.labels, self.transform = split.images[:, :, :, 0], split.labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def _plain(family: ModuleType, config: Settings, data: PreparedData, steps: int, workers: int) -> float:
    spec = data.spec
    shifts = [transforms.RandomCrop((spec.height, spec.width), padding=config.shift)] if config.shift else []
    transform = transforms.Compose(
        [*shifts, transforms.ToTensor(), transforms.Normalize(spec.mean, spec.std)]
    )
    size = config.batch_size
    images = _Images(_head(data.train, (WARM_UP + steps) * size), transform)
    loader = DataLoader(images, size, shuffle=True, num_workers=workers, drop_last=True)
    model = family.build(config, spec)
    model.standardise = nn.Identity()  # the transforms do it
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    model.train()
    started = time.perf_counter()
    for step, (x_bchw, labels) in enumerate(loader):
        if step == WARM_UP:
            started = time.perf_counter()
        loss = functional.cross_entropy(model(x_bchw), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    return steps * size / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
