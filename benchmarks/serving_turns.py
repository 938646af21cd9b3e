"""Two builds of the server in turns: requests a second, and processor time a request, new against old.

    python -m benchmarks.serving_turns OLD NEW [--bundles FOLDER] [--models digits-mlp digits-vit] [--turns 20]

OLD and NEW are checkouts, each with its virtual environment ``.venv``. Both serve the same bundles all the time, NEW's
``artifacts/bundles`` where no folder is given. ``wrk`` asks one, then the other, for ``--seconds``, and each pair of
turns gives a ratio: above 1 the new one is faster, or takes less of the processor. Of these the median is told, with
the quartiles. What else the machine does falls on both turns of a pair alike; processor time (user and system, of the
process that answers) bears it best.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.builds import Running, bundles_folder, parser, running
from benchmarks.serving import ROWS, ROWS_CONNECTIONS, attack
from benchmarks.serving_peers.servers import SERVERS
from components.bundles.bundle import DESCRIPTION

LOADS = {
    "1 connection": ("darkroom", 1, 1),
    "64 connections": ("darkroom", 1, 64),
    "64 connections, JSON": ("darkroom, JSON", 1, 64),
    f"{ROWS} rows": ("darkroom", ROWS, ROWS_CONNECTIONS),
}
"""By title: whose form of request, images a request, and connections."""


def main() -> None:
    """Measure, and print a line for each model and load, and JSON."""
    options = parser(__doc__)
    options.add_argument("--models", nargs="+", default=["digits-mlp", "digits-vit"])
    options.add_argument("--turns", type=int, default=20, help="of each build and load")
    options.add_argument("--seconds", type=int, default=5, help="of a turn")
    arguments = options.parse_args()
    folder = bundles_folder(arguments)
    bundles = {name: folder / name for name in arguments.models}
    results: dict = {"load_before": os.getloadavg()[0]}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        builds = [
            stack.enter_context(running(checkout.resolve(), bundles))
            for checkout in (arguments.old, arguments.new)
        ]
        print(f"{'':36}{'requests/s':>20}{'ratio':>22}{'processor us/request':>24}{'ratio':>22}")
        for name, bundle in bundles.items():
            for title, (form, rows, connections) in LOADS.items():
                request = SERVERS[form].body(images(bundle, rows))
                turns = [
                    [
                        turn(build, scratch, name, request, connections, arguments.seconds)
                        for build in (builds if number % 2 else builds[::-1])
                    ][:: 1 if number % 2 else -1]
                    for number in range(-1, arguments.turns)
                ][1:]  # the first pair warms
                results[f"{name}, {title}"] = told = compared(turns)
                show(f"{name}, {title}", told)
    results["load_after"] = os.getloadavg()[0]
    print(json.dumps(results))


def images(bundle: Path, rows: int) -> np.ndarray:
    """Return random images for a bundle, uint8 [rows, H, W, C]."""
    description = json.loads((bundle / DESCRIPTION).read_text())
    shape = (rows, *description["inputs"][0]["shape"][1:])
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def turn(
    build: Running,
    scratch: Path,
    name: str,
    request: tuple[bytes, dict[str, str]],
    connections: int,
    seconds: int,
) -> tuple[float, float]:
    """Ask a build for some seconds; return requests a second, and the worker's microseconds a request."""
    before = sum(build.worker.cpu_times()[:2])
    url = f"http://127.0.0.1:{build.port}/v2/models/{name}/infer"
    found = attack(url, scratch, *request, connections, seconds)
    if found["failed"]:
        sys.exit(f"{name}: {found['failed']} requests failed")
    used = sum(build.worker.cpu_times()[:2]) - before
    return found["per_s"], 1e6 * used / found["requests"]


def compared(turns: list[list[tuple[float, float]]]) -> dict[str, dict]:
    """Return medians of both builds, and of their paired ratios with quartiles, of speed and of processor time."""
    speed = [(old, new, new / old) for (old, _), (new, _) in turns]
    processor = [(old, new, old / new) for (_, old), (_, new) in turns]
    return {
        key: {
            "old": statistics.median(pair[0] for pair in pairs),
            "new": statistics.median(pair[1] for pair in pairs),
            "ratio": statistics.quantiles((pair[2] for pair in pairs), n=4),
        }
        for key, pairs in (("per_s", speed), ("cpu_us", processor))
    }


def show(title: str, told: dict[str, dict]) -> None:
    """Print a line."""
    line = f"{title:36}"
    for key, width in (("per_s", 20), ("cpu_us", 24)):
        low, middle, high = told[key]["ratio"]
        values = f"{told[key]['old']:,.0f} {told[key]['new']:,.0f}"
        line += f"{values:>{width}}{f'{middle:.3f} ({low:.3f}-{high:.3f})':>22}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
