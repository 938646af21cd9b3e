"""What a pre-trained base is worth at few labels: fine-tuned against the same network from scratch, paired by seed.

``python -m benchmarks.fine_tuning [MODEL ...] [--seeds N] [--json FILE]`` for entries of ``params.yaml`` whose family
is ``hf_classifier``, after ``darkroom run`` has prepared their data. Both sides of a pair see the same labelled images
and the same batches. The accuracy is that on the whole test split; the interval is Student's over the pairs: it holds
what a seed decides: the labels drawn, the base, and the order.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
from scipy import stats

import models
from benchmarks.command import described, keep
from components.project import layout, params
from components.project.sections import ModelParams
from data.prepared import PreparedData
from models.blocks import classify
from models.blocks.batches import Batches
from models.run import Run
from models.settings import configure

FAMILY = models.family("hf_classifier")


def main() -> None:
    """Measure, print a line for each pair and each model, and write JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("models", nargs="*", default=["digits-hf", "fashion-hf"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    known = params.load()
    results = {
        name: _compare(name, (known.models | known.catalog)[name], options.seeds) for name in options.models
    }
    keep(results, options.json)


def _compare(name: str, entry: ModelParams, seeds: int) -> dict:
    data = PreparedData(layout.prepared(entry.dataset))
    pairs = []
    for seed in range(seeds):
        started = time.perf_counter()
        pairs.append([_accuracy(entry, data, base, seed) for base in ("own", "scratch")])
        print(f"{name}, seed {seed}: fine-tuned {pairs[-1][0]:.4f}, from scratch {pairs[-1][1]:.4f}", end="")
        print(f" ({time.perf_counter() - started:.0f} s)", flush=True)
    gains = [own - scratch for own, scratch in pairs]
    mean = statistics.mean(gains)
    low, high = stats.t.interval(0.95, seeds - 1, mean, stats.sem(gains))
    means = [statistics.mean(side) for side in zip(*pairs, strict=True)]
    print(
        f"{name}: {means[0]:.4f} against {means[1]:.4f}: {mean:+.4f} [{low:+.4f}, {high:+.4f}], {seeds} pairs"
    )
    return {"pairs": pairs, "gain": mean, "low": low, "high": high}


def _accuracy(entry: ModelParams, data: PreparedData, base: str, seed: int) -> float:
    config = configure(FAMILY.Config, entry.preset, entry.overrides | {"base": base}, "benchmark")
    with Run(f"{base}, seed {seed}", seed=seed, threads=entry.threads) as run:
        model = FAMILY.build(config, data.spec)
        FAMILY.fit(model, data, run)
    return classify.validate(model, Batches(data.test, torch.device("cpu")))["accuracy"]


if __name__ == "__main__":
    main()
