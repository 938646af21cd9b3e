"""The YAML at the head of a card, as Hugging Face's hub reads it."""

from __future__ import annotations

from typing import Any

import yaml

from components.model_card.facts import Facts
from components.model_card.markdown import number
from components.pipelines import tasks

UNKNOWN = "unknown"
"""The hub's name for a licence that is not known."""


def text(facts: Facts) -> str:
    """Return the lines between the two ``---``."""
    name, family, task = (facts.bundle[key] for key in ("name", "family", "task"))
    values = {
        "license": facts.said("license") or UNKNOWN,
        "library_name": "onnx",
        "tags": ["darkroom", "onnx", family, task],
        "metrics": list(facts.bundle["metrics"]),
        "model-index": [{"name": name, "results": [_result(facts)]}],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)


def _result(facts: Facts) -> dict[str, Any]:
    task, dataset = facts.bundle["task"], facts.bundle["dataset"]
    return {
        # Its last name is the one that is meant where somebody names none.
        "task": {"type": list(tasks.of(task).SHAPES)[-1], "name": task},
        "dataset": {"type": dataset, "name": dataset, "split": "test", "revision": facts.bundle["data"]},
        "metrics": [
            {
                "type": metric,
                "value": found["value"],
                "name": f"{metric}, 95 % interval {number(found['low'])} to {number(found['high'])}",
            }
            for metric, found in facts.bundle["metrics"].items()
        ],
    }
