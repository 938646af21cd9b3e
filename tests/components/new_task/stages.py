"""Train, evaluate and export a model of the task, compare it with itself, and ask it: run in a copy of the project."""

import json
from pathlib import Path

import numpy as np
import yaml

from components import evaluate, export, train
from components.pipelines import pipeline
from components.project import layout
from components.project.sections import GatePolicy
from components.promotion.comparison import compare, score_both
from tests.models import tiny


def main() -> None:
    """Print what came about, as JSON."""
    data = tiny.prepare_scenes(layout.prepared("digit_scenes"))
    model = {"family": "tagger", "dataset": "digit_scenes"}
    params = {
        "datasets": {"digit_scenes": "nowhere"},
        "models": {"m": model},
        "gate": {"m": {"thresholds": {}}},
    }
    Path("params.yaml").write_text(yaml.safe_dump(params))
    train.run("m")
    evaluate.run("m")
    bundle = export.run("m")
    ask, picture = pipeline(model=bundle.folder), np.asarray(data.test.images[1])
    (answer,) = ask.source.ask([picture], {})
    scored = score_both(bundle, bundle, data)
    print(
        json.dumps(
            {
                "task": ask.task,
                "answer": ask(picture, top_k=2),
                "line": ask.interface.line(answer),
                "metrics": bundle.description["metrics"],
                "parity": sorted(bundle.description["parity"]["examples"]),
                "compared": [row.to_json() for row in compare(scored, data.spec.classes, GatePolicy())],
                "plots": sorted(file.name for file in (layout.evaluated("m") / "plots").iterdir()),
            }
        )
    )


main()
