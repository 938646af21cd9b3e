"""A real training in a process of its own, to be killed: ``python training_process.py FAMILY DATA OUT``.

It writes a resume point at every opportunity, so that a kill falls between any two of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import models
from data.prepared import PreparedData
from models.run import Run
from tests.models import tiny

OVERRIDES = {"epochs": 8, "tolerance": 1e-12}
"""Longer than other tests' trainings, so that there is something to kill."""


def main(family: str, data_folder: str, out: str) -> None:
    data = PreparedData(Path(data_folder))
    module = models.family(family)
    known = {key: value for key, value in OVERRIDES.items() if key in module.Config.model_fields}
    config = tiny.settings(family, **known)
    resume_file = Path(out) / "point.safetensors"
    with Run(family, resume_file=resume_file, save_seconds=0.0, save_share=1.0) as run:
        model = module.build(config, data.spec)
        module.fit(model, data, run)
    tiny.save(Path(out), family, config, data, model, run)


if __name__ == "__main__":
    main(*sys.argv[1:])
