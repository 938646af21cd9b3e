"""How often the gate is right about slices: coverage, false refusals and power, by simulation, with many slices.

``python -m benchmarks.gate_slices [--trials N] [--json FILE]``. Each trial deals a test set of S slices of n
examples on which two models are right or wrong, and asks for the intervals of the differences. Three ways:

- ``alone``: each slice has the paired 95 % interval that classes have (``bootstrap.paired``);
- ``Bonferroni``: its level is divided by S, on the same resampled sets (percentiles);
- ``together``: what the gate does (``components/metrics/simultaneous.py``).

*Coverage*: all S intervals hold the true difference. *False refusal*: the models differ by exactly the margin, which
is still allowed, and a slice fails all the same. *Power*: one slice is worse by .2 beyond it, and some slice fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.command import described, keep
from components.metrics import bootstrap, estimates, simultaneous
from components.metrics.bootstrap import Interval

SIZES, SLICES = (10, 30, 100, 1000), (1, 10, 50)
HARM = 0.2


@dataclass(frozen=True)
class World:
    """What the models are like.

    Attributes:
        name: in the table.
        shared: whether each slice has half of its examples in common with the next one.
        changed: share of the examples on which one model is right and the other wrong.
        difference: of the shares of right answers, which is also the margin, negative.
    """

    name: str
    shared: bool
    changed: float
    difference: float


WORLDS = (
    World("2 % change, equal", shared=False, changed=0.02, difference=0.0),
    World("10 % change, equal", shared=False, changed=0.1, difference=0.0),
    World("10 % change, all slices at the margin of .05", shared=False, changed=0.1, difference=-0.05),
    World("10 % change, equal, slices overlap by half", shared=True, changed=0.1, difference=0.0),
)

Way = Callable[[np.ndarray, np.ndarray], list[Interval]]
"""(changes -1, 0, 1 [N], members bool [N, S]) -> an interval for each slice."""


def alone(changes: np.ndarray, members: np.ndarray) -> list[Interval]:
    """Return the interval of each slice as if it were the only one, as of classes."""
    return [bootstrap.paired(changes[chosen], np.zeros(chosen.sum())) for chosen in members.T]


def bonferroni(changes: np.ndarray, members: np.ndarray) -> list[Interval]:
    """Return percentile intervals at the level divided by the number of slices."""
    tail = (1 - bootstrap.LEVEL) / 2 / members.shape[1]
    found = []
    for chosen in members.T:
        drawn = bootstrap.resample(changes[chosen][:, None], lambda sums, size: sums[:, 0] / size)
        found.append(Interval(float(changes[chosen].mean()), *np.quantile(drawn, [tail, 1 - tail])))
    return found


def together(changes: np.ndarray, members: np.ndarray) -> list[Interval]:
    """Return what the gate takes."""
    return simultaneous.intervals(estimates.of_changes(changes, members))[0]


WAYS: dict[str, Way] = {"alone": alone, "Bonferroni": bonferroni, "together": together}


def members(slices: int, size: int, *, shared: bool) -> np.ndarray:
    """Return which examples each slice holds, bool [N, S]; with ``shared`` half of them are the next slice's too."""
    step = size // 2 if shared else size
    place = np.arange(step * (slices - 1) + size)[:, None] - step * np.arange(slices)
    return (place >= 0) & (place < size)


def deal(
    random: np.random.Generator, number: int, changed: float, difference: np.ndarray | float
) -> np.ndarray:
    """Return ``number`` changes: 1 where the candidate alone is right, -1 where the champion alone is."""
    drawn = random.random(number)
    return np.where(drawn < (changed + difference) / 2, 1.0, np.where(drawn < changed, -1.0, 0.0))


def measure(way: Way, world: World, size: int, slices: int, trials: int) -> dict[str, float]:
    """Return the shares of the trials in which all intervals hold, an equal slice fails, and a harmed one does."""
    random, held, refused, caught = np.random.default_rng(size * 100 + slices), 0, 0, 0
    chosen = members(slices, size, shared=world.shared)
    harmed = chosen[:, 0]
    for _ in range(trials):
        changes = deal(random, len(chosen), world.changed, world.difference)
        found = way(changes, chosen)
        held += all(
            one.low <= world.difference + 1e-12 and one.high >= world.difference - 1e-12 for one in found
        )
        refused += any(one.high < world.difference - 1e-12 for one in found)
        worse = np.where(
            harmed,
            deal(random, len(chosen), world.changed + HARM, world.difference - HARM),
            deal(random, len(chosen), world.changed, world.difference),
        )
        caught += any(one.high < world.difference - 1e-12 for one in way(worse, chosen))
    return {"coverage": held / trials, "false refusal": refused / trials, "power": caught / trials}


def rows(trials: int) -> Iterator[dict]:
    """Yield a row for each world, size, number of slices and way; ways that draw sets are asked where it is quick."""
    for world in WORLDS:
        for size in SIZES:
            for slices in SLICES:
                for name, way in WAYS.items():
                    if name != "together" and size * slices > 1000:
                        continue
                    number = trials if name == "together" and slices < 50 else trials // 2
                    started = time.perf_counter()
                    found = measure(way, world, size, slices, number)
                    ms = 500 * (time.perf_counter() - started) / number
                    told = {
                        "world": asdict(world),
                        "n": size,
                        "slices": slices,
                        "way": name,
                        "trials": number,
                    }
                    yield told | found | {"ms": ms}


def main() -> None:
    """Measure, print a line for each row, and write JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = []
    for row in rows(options.trials):
        found.append(row)
        print(
            f"| {row['world']['name']} | {row['n']} | {row['slices']} | {row['way']} | {row['coverage']:.3f} | "
            f"{row['false refusal']:.3f} | {row['power']:.3f} | {row['ms']:.1f} |",
            flush=True,
        )
    keep(found, options.json)


if __name__ == "__main__":
    main()
