"""Images a second of a training by two ranks on two cores, against one rank on one core, with the same batches.

``python -m benchmarks.ranks [--families cnn vit ddpm] [--batch-size N] [--steps N] [--rounds N] [--json FILE]``, after
``darkroom run digits-logreg`` has prepared the data. Each rank is a process with one thread that is kept on one core;
they talk by gloo, as GPUs do by NCCL. The two ways take turns, and a warm-up comes before each: what is measured is
``fit`` alone, with its validation at the end of each epoch by the first rank. The median of the rounds counts.

A busy machine holds up two that wait for each other more than one. What the first rank used of its processor is told,
too: it is what the same would take where nothing else ran and no message took time.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import models
from benchmarks.command import described, keep
from components.project import layout
from data.prepared import PreparedData
from models import launch, ranks
from models.run import Run
from models.settings import configure

WARM_UP = 5


def main() -> None:
    """Measure, print a table, and write it as JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("--families", nargs="+", default=["cnn", "vit", "ddpm"])
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {}
    for family in options.families:
        rounds: dict[int, list[list[float]]] = {1: [], 2: []}
        for _ in range(options.rounds):
            for count, speeds in rounds.items():
                speeds.append(_speeds(family, options.batch_size, options.steps, count))
        one, two = (
            [statistics.median(each) for each in zip(*speeds, strict=True)] for speeds in rounds.values()
        )
        ratios = [ours / theirs for ours, theirs in zip(two, one, strict=True)]
        results[family] = {"one": rounds[1], "two": rounds[2], "ratios": ratios}
        print(
            f"{family:8} one rank {one[0]:6.0f} images/s, two {two[0]:6.0f}: {ratios[0]:.2f} times;"
            f" by the first rank's processor {ratios[1]:.2f} times",
            flush=True,
        )
    keep(results, options.json)


def _speeds(family: str, batch_size: int, steps: int, count: int) -> list[float]:
    """Return images a second by the clock, and by what the first rank used of its processor."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speed"
        launch.launch(_train, (family, batch_size, steps, file), gpus=[None] * count, backend="gloo")
        return json.loads(file.read_text())


def _train(name: str, batch_size: int, steps: int, file: Path) -> None:
    """Train as a rank; the first one writes what :func:`_speeds` returns."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[ranks.number()]})
    data, family = PreparedData(layout.prepared("digits")), models.family(name)
    for number in (WARM_UP, steps):
        settings = {"epochs": 1, "least_steps": number, "batch_size": batch_size}
        config = configure(family.Config, "quick", settings, "benchmark")
        with Run("benchmark", shown=False) as run:
            model = family.build(config, data.spec)
            ranks.agreed(True)  # both begin
            started = time.perf_counter(), time.process_time()
            family.fit(model, data, run)
            seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    if ranks.is_first():
        file.write_text(json.dumps([run.images / taken for taken in seconds]))


if __name__ == "__main__":
    main()
