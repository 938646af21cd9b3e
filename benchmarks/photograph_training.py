"""Images a second of a training on photographs that stay files: ours against torchvision, datasets and webdataset.

    uv pip install --target PEERS datasets==5.2.0 webdataset==1.0.2
    python -m benchmarks.photograph_training --peers PEERS [--images 3600] [--epochs 3] [--rounds 2] [--json FILE]

Needs Debian's tuxpaint-stamps-default, of which the photographs are made (``benchmarks/photographs.py``): JPEG files of
500 x 375 pixels in a temporary folder. Ours ingests, validates and prepares them, which is not timed, and trains by the
family's own ``fit``. The others (``benchmarks/photograph_peers.py``) train the same network by a plain loop. All have
the same batch size, rates and passes, pictures of the same size that are mirrored at random, as many workers as the
machine has cores (ours threads, theirs processes) and a validation after each pass; ours averages its weights and clips
its gradients besides. Each training is a process of its own, in turns; its time is that of the whole training,
given by the clock and in seconds of processors, which other work on the machine moves less. Its accuracy is that on
the test split. Loading alone is a pass over the same batches.

The larger ``--stem-stride``, the less the network computes: on a machine without a GPU it stands for a step that is as
fast as the loading.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from benchmarks import photographs
from benchmarks.command import described, keep
from benchmarks.nightly import ROOT, STAGES, Project
from benchmarks.photograph_peers import PEERS, Batch, Loaders, Loading
from data import cores
from data.prepared import DataSpec, PreparedData, Split
from models import cnn
from models.blocks import batches, classify, loop
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.run import Run
from models.settings import configure

OURS = "ours"
CPU = torch.device("cpu")


def main() -> None:
    """Measure, and print tables and JSON."""
    parser = described(__doc__)
    parser.add_argument(
        "--peers", type=Path, required=True, help="where datasets and webdataset are installed"
    )
    parser.add_argument("--images", type=int, default=3600, help="in the train split; a tenth each beside it")
    parser.add_argument("--side", type=int, default=160, help="pixels of the pictures that are learned from")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--stem-stride", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1, help="that compute")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as made:
        results = measure(Path(made), options)
    for name, values in results.items():
        print(
            f"{name:12} {values['images_s']:7.0f} images/s, {values['processor_ms']:.2f} ms of processors an image,"
            f" accuracy {values['accuracy']:.3f};"
            f" loading alone {values['loading_images_s']:7.0f} images/s"
        )
    for name in PEERS:
        ratios = {key: results[OURS][key] / results[name][key] for key in ("images_s", "loading_images_s")}
        print(f"ours / {name}: {ratios['images_s']:.2f}, loading alone {ratios['loading_images_s']:.2f}")
    print(json.dumps(results))
    keep(results, options.json)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the median of each figure over the rounds, of each side."""
    tenth = options.images // 10
    photos = folder / "photos"
    counts = {"train": options.images, "validation": tenth, "test": tenth}
    photographs.write(photos, counts, cores.available())
    project = Project(folder / OURS, ROOT, photos, options.side)
    project.listed()
    for stage in STAGES:
        project.run(stage)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in (OURS, *PEERS)}
    for number in range(options.rounds):
        for name, found in rounds.items():
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                found.append(alone.submit(_run, name, photos, project.folder, options, number).result())
            print(name, json.dumps(found[-1]), flush=True)
    return {
        name: {key: statistics.median(values[key] for values in found) for key in found[0]}
        for name, found in rounds.items()
    }


def _run(name: str, photos: Path, project: Path, options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Load and train once on one side."""
    sys.path.append(str(options.peers))
    overrides = {"stem_stride": options.stem_stride, "epochs": options.epochs, "shift": 0, "flip": True}
    config = configure(cnn.Config, "quick", overrides, "benchmark")
    data = PreparedData(project / "artifacts/data/mine/prepared")
    if name == OURS:
        return _ours(data, config, options.threads, seed)
    loading = Loading(options.side, config.batch_size, cores.available())
    loaders = PEERS[name](photos, loading)
    return _plain(loaders, data.spec, config, options, seed)


def _ours(data: PreparedData, config: cnn.Config, threads: int, seed: int) -> dict[str, float]:
    """Train as the train stage does."""
    loading = _loading(_passed(data.train, config.batch_size, seed))
    with Run("benchmark", seed=seed, threads=threads, shown=False) as run:
        model = cnn.build(config, data.spec)
        timer = Timer()
        cnn.fit(model, data, run)
        speed = timer.speed(run.images)
    accuracy = classify.validate(model, Batches(data.test, CPU))["accuracy"]
    return speed | {"loading_images_s": loading, "accuracy": accuracy}


def _plain(
    loaders: Loaders, spec: DataSpec, config: cnn.Config, options: argparse.Namespace, seed: int
) -> dict[str, float]:
    """Train as a tutorial does, with the rates of ours."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(seed)
    loading = _loading(loaders["train"])
    model = cnn.build(config, spec).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        model.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    seen, step, steps = 0, 0, config.epochs * (options.images // config.batch_size)
    timer = Timer()
    for _ in range(config.epochs):
        model.train()
        for shown, labels in loaders["train"]:
            for group in optimizer.param_groups:
                group["lr"] = loop.learning_rate(step, steps, config)
            loss = functional.cross_entropy(model(shown), labels, label_smoothing=config.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen, step = seen + len(shown), step + 1
        _accuracy(model, loaders["validation"])
    speed = timer.speed(seen)
    return speed | {"loading_images_s": loading, "accuracy": _accuracy(model, loaders["test"])}


class Timer:
    """The clock, and the seconds of processors of this process and of those that it started and that ended."""

    def __init__(self) -> None:
        self._began, self._used = time.perf_counter(), _processor()

    def speed(self, images: int) -> dict[str, float]:
        """Return what ``images`` took since the beginning."""
        return {
            "images_s": images / (time.perf_counter() - self._began),
            "processor_ms": 1e3 * (_processor() - self._used) / images,
        }


def _processor() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))


def _passed(split: Split, size: int, seed: int) -> Iterator[Batch]:
    """Yield what an epoch reads; pictures that are few enough to be held in memory are decoded first."""
    shown = Batches(split, CPU)
    for images, labels in shown.read(batches.order(len(shown), seed, 0), size):
        yield unit(images), labels


def _loading(passed: Iterable[Batch]) -> float:
    """Return how many images a second ``passed`` gives."""
    began, count = time.perf_counter(), 0
    for images, _ in passed:
        count += len(images)
    return count / (time.perf_counter() - began)


@torch.inference_mode()
def _accuracy(model: nn.Module, held: Iterable[Batch]) -> float:
    model.eval()
    right = [model(images).argmax(dim=1) == labels for images, labels in held]
    return torch.cat(right).double().mean().item()


if __name__ == "__main__":
    main()
