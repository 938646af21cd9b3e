"""Which of two stages goes first where both wait for the same core."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from components.project import layout
from flows.stages.dag import Stage


def ranks(stages: Sequence[Stage], models: Iterable[str]) -> dict[str, int]:
    """Return the place in line of each of ``stages``: the lower goes first when two wait for the same core.

    Model by model, that which trained longest last time first, so that it does not end up alone on one core; those that
    were never trained come before, as ``params.yaml`` lists them. A data set is as urgent as its most urgent model.

    Args:
        stages: upstream stages first.
        models: in the order of ``params.yaml``.
    """
    line = sorted(models, key=_last_seconds, reverse=True)
    rank = {stage.address: line.index(stage.item) for stage in stages if stage.item in line}
    for stage in reversed(stages):
        own = rank.setdefault(stage.address, len(line))  # of what is no model's, as a look at labels
        for upstream in stage.upstream:
            rank[upstream] = min(rank.get(upstream, len(line)), own)
    return rank


def _last_seconds(model: str) -> float:
    try:
        return json.loads(layout.timing(model).read_text())["seconds"]
    except FileNotFoundError:
        return math.inf
