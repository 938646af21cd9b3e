"""What pre-trained weights are worth at 20 photographs a class: fine-tuned against from scratch, paired by image.

``python -m benchmarks.few_shot [--seeds N ...] [--json FILE]`` after ``darkroom run stamps-cnn`` has prepared the data
and brought the weights. Each seed deals all photographs out anew: 20 of each class to learn from, 5 that choose the
best weights, and all others to measure by. Both sides of a pair see the same ones. Pre-trained is ``stamps-cnn``;
from scratch is the family's own network, trained for more passes. Intervals: a paired bootstrap over the photographs
of one deal, the mean of its bounds over the deals, and Student's over the deals.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy import stats

import models
from benchmarks.command import described, keep
from components.project import layout, params
from data.prepared import PreparedData, Split
from models.blocks.pixels import unit
from models.blocks.shots import Part
from models.run import Run
from models.settings import configure

MODEL = "stamps-cnn"
SHOTS, CHOOSING = 20, 5
SCRATCH = {"flip": True, "shift": 4, "batch_size": 32, "epochs": 40, "stem_stride": 4, "dropout": 0.2}
SAMPLES = 10_000


def main() -> None:
    """Measure, print a line for each deal, and write JSON where asked, after each."""
    parser = described(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    known = params.load()
    entry = (known.all_models | known.catalog)[MODEL]
    data = PreparedData(layout.prepared(entry.dataset))
    base = {"base": str(layout.trained(entry.base)), "shots": 0}
    deals: list[dict] = []
    for seed in options.seeds:
        part = _deal(data, seed)
        right, seconds = {}, {}
        for side, overrides in (("pre-trained", entry.overrides | base), ("from scratch", SCRATCH)):
            started = time.perf_counter()
            right[side] = _right(overrides, entry.preset, data, part, seed)
            seconds[side] = time.perf_counter() - started
        deals.append(
            {"seed": seed}
            | _compare(*right.values(), seed)
            | {"seconds": seconds, "photographs": len(part[1])}
        )
        print(json.dumps(deals[-1]), flush=True)
        keep({"deals": deals, "over_deals": _over(deals)}, options.json)
    print(json.dumps(_over(deals)))


def _deal(data: PreparedData, seed: int) -> tuple[Part, Split]:
    """Return what is learned from and chosen by, and what is measured by."""
    splits = (data.train, data.validation, data.test)
    images = np.concatenate([split.images for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    ids = [name for split in splits for name in split.ids]
    order = np.random.default_rng(seed).permutation(len(labels))
    dealt: list[list[int]] = [[], [], []]
    for label in range(data.spec.num_classes):
        mine = order[labels[order] == label]
        for hand, cards in zip(dealt, np.split(mine, [SHOTS, SHOTS + CHOOSING]), strict=True):
            hand.extend(cards)
    train, choosing, held = (
        Split(images[sorted(hand)], labels[sorted(hand)], [ids[i] for i in sorted(hand)]) for hand in dealt
    )
    return Part(train, choosing), held


def _right(
    overrides: dict, preset: str, data: PreparedData, part: tuple[Part, Split], seed: int
) -> np.ndarray:
    """Train, and return bool [N]: which of the held photographs are told right."""
    family = models.family("cnn")
    learned, held = part
    config = configure(family.Config, preset, overrides, "benchmark")
    with Run(f"seed {seed}", seed=seed) as run:
        model = family.build(config, data.spec)
        family.fit(model, learned, run)
    with torch.inference_mode():
        answers = model(unit(torch.from_numpy(np.array(held.images)))).argmax(dim=-1).numpy()
    return answers == held.labels


def _compare(ours: np.ndarray, theirs: np.ndarray, seed: int) -> dict:
    """Return both accuracies and the paired difference with its bootstrap interval of 95 %."""
    gains = ours.astype(float) - theirs
    drawn = np.random.default_rng(seed).integers(len(gains), size=(SAMPLES, len(gains)))
    low, high = np.quantile(gains[drawn].mean(axis=1), (0.025, 0.975))
    return {
        "pre_trained": ours.mean(),
        "from_scratch": theirs.mean(),
        "gain": gains.mean(),
        "low": low,
        "high": high,
    }


def _over(deals: list[dict]) -> dict | None:
    """Return the mean gain over the deals with Student's interval and that over photographs; None of one deal.

    The latter is the mean of the deals' bounds: photographs are in several deals, and no correlation makes it wider.
    """
    if len(deals) < 2:
        return None
    gains = [deal["gain"] for deal in deals]
    low, high = stats.t.interval(0.95, len(gains) - 1, np.mean(gains), stats.sem(gains))
    over_photographs = [np.mean([deal[bound] for deal in deals]) for bound in ("low", "high")]
    return {
        "gain": np.mean(gains),
        "low": low,
        "high": high,
        "over_photographs": over_photographs,
        "deals": len(deals),
    }


if __name__ == "__main__":
    main()
