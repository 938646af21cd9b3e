"""How often a trial's bounds alarm at what is as it should be, and how soon they find what is not, by simulation.

``python -m benchmarks.sequential_bounds [--runs N] [--requests N]``. Each run draws requests of which a share is bad,
and looks after every one, as a canary's workers do:

- ``at any time``: what the server does (``components/metrics/sequential.py``);
- ``repeated``: a one-sided test at 5 % for a single look, repeated with every request after the twentieth.
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from components.metrics.sequential import _RATIOS, ALPHA

FALSE = (0.001, 0.02, 0.1, 0.5)
"""Shares that are allowed, and just so many are bad."""
BETTER = ((0.02, 0.0), (0.02, 0.005), (0.02, 0.01))
"""Shares that are allowed, and how many are bad: how soon it is shown that they are fewer."""
WORSE = ((0.0001, 0.01), (0.02, 0.05), (0.02, 0.1), (0.02, 0.5), (0.5, 0.6), (0.5, 0.8))
"""Shares that are allowed, and how many are bad."""


def evidence(bad: np.ndarray, share: float) -> np.ndarray:
    """Return the evidence float64 [R, N] after each of N requests, of which ``bad`` bool [R, N] are bad."""
    counts, looks = np.cumsum(bad, axis=1), np.arange(1, bad.shape[1] + 1)
    found = np.full(counts.shape, -np.inf)
    for ratio in _RATIOS:
        found = np.logaddexp(found, counts * math.log(ratio) - looks * math.log1p(share * (ratio - 1)))
    return found - math.log(len(_RATIOS))


def repeated(bad: np.ndarray, share: float) -> np.ndarray:
    """Return bool [R, N]: whether a test for a single look alarms after each request."""
    counts, looks = np.cumsum(bad, axis=1), np.arange(1, bad.shape[1] + 1)
    alarms = counts > looks * share + 1.645 * np.sqrt(looks * share * (1 - share))
    alarms[:, :20] = False
    return alarms


def tell(share: float, actual: float, crossed: np.ndarray) -> None:
    """Print after how many requests a bound was ``crossed`` bool [R, N]."""
    first = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1.0, np.inf)
    half, most = np.quantile(first, [0.5, 0.9], method="higher")
    print(f"| {share:g} | {actual:g} | {crossed.any(axis=1).mean():.3f} | {half:g} | {most:g} |")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=5000)
    told = parser.parse_args()
    random = np.random.default_rng(0)

    def drawn(share: float) -> np.ndarray:
        return random.random((told.runs, told.requests), dtype=np.float32) < share

    print("| allowed and so | at any time | repeated |\n|---|---|---|")
    for share in FALSE:
        bad = drawn(share)
        ours = (evidence(bad, share) >= -math.log(ALPHA)).any(axis=1).mean()
        print(f"| {share:g} | {ours:.3f} | {repeated(bad, share).any(axis=1).mean():.3f} |")
    print("\n| allowed | really | shown | median requests | in nine of ten |\n|---|---|---|---|---|")
    for share, actual in WORSE:
        tell(share, actual, evidence(drawn(actual), share) >= -math.log(ALPHA / 3))
    for share, actual in BETTER:
        tell(share, actual, evidence(~drawn(actual), 1 - share) >= -math.log(ALPHA))


if __name__ == "__main__":
    main()
