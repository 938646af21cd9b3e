"""Two builds of the pipeline in turns: :mod:`benchmarks.pipeline_tax` of each, new against old.

    python -m benchmarks.pipeline_turns OLD NEW [--turns 5] [-- OPTIONS OF pipeline_tax.py]

OLD and NEW are checkouts, each with its virtual environment ``.venv``; what their last commits hold is measured. Each
turn runs one's benchmark, then the other's, and gives ratios of all figures; of these the median is told. Above 1 the
new one takes less.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.command import described


def main() -> None:
    """Measure, and print a line for each figure, and JSON."""
    parser = described(__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    # argparse would take what follows an option after "--" for its own.
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments, options = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]
    checkouts = arguments.old.resolve(), arguments.new.resolve()
    load = os.getloadavg()[0]
    turns = []
    for number in range(arguments.turns):
        order = checkouts if number % 2 else checkouts[::-1]
        figures = {checkout: measured(checkout, options) for checkout in order}
        turns.append([figures[checkout] for checkout in checkouts])
        print(json.dumps(turns[-1]), file=sys.stderr, flush=True)
    results: dict = {"load_before": load, "load_after": os.getloadavg()[0]}
    print(f"{'':45} {'old':>10} {'new':>10} {'old / new':>10}")
    for name in turns[0][0]:
        pairs = [(old[name], new[name], old[name] / new[name]) for old, new in turns]
        old, new, ratio = results[name] = [statistics.median(side) for side in zip(*pairs, strict=True)]
        print(f"{name:45} {old:10.2f} {new:10.2f} {ratio:10.3f}")
    print(json.dumps(results))


def measured(checkout: Path, options: list[str]) -> dict[str, float]:
    """Return the figures of a checkout's own benchmark, by name."""
    command = [checkout / ".venv/bin/python", "-m", "benchmarks.pipeline_tax", *options]
    done = subprocess.run(command, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
