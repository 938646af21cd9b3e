"""Exact match by length of several transcribers, side by side: what attention is for.

``python -m benchmarks.attention_by_length digit-lines-encoder-decoder digit-lines-no-attention [--picture F]``, after
``darkroom run`` of the models, which are of one data set. Prints a table and draws the curves with 95 % intervals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.command import described
from components.metrics import bootstrap
from components.metrics.bootstrap import Interval
from components.pictures import lengths as by_length
from components.project import layout
from data.prepared import PreparedData
from data.text import lengths
from models import checkpoint


def main() -> None:
    """Read what the evaluate stages left, print it, and draw it where asked."""
    parser = described(__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    series = {name: _shares(name) for name in options.models}
    for name, shares in series.items():
        found = ", ".join(f"{n}: {s.value:.3f} [{s.low:.3f}, {s.high:.3f}]" for n, s in shares.items())
        print(f"{name:32} {found}")
    if options.picture:
        by_length.draw(options.picture, series, "exact match")


def _shares(name: str) -> dict[int, Interval]:
    trained = checkpoint.load(layout.trained(name))
    test = PreparedData(layout.prepared(trained.spec.name)).test
    table = pq.read_table(layout.evaluated(name) / "examples.parquet", columns=["id", "correct"])
    if table["id"].to_pylist() != test.ids:
        raise SystemExit(f"{name}: was evaluated on another state of {trained.spec.name}: evaluate it again")
    right, long = table["correct"].to_numpy(), lengths(test.texts)
    return {int(length): bootstrap.proportion(right[long == length]) for length in np.unique(long)}


if __name__ == "__main__":
    main()
