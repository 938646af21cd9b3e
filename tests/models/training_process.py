"""A real training in a process of its own, to be killed.

It writes a resume point at every opportunity, so that a kill falls between any two of them.
"""

from __future__ import annotations

import math
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
import torch._dynamo  # by the first optimizer otherwise, in each process

import models
from data.prepared import PreparedData
from models.run import Run
from tests.models import tiny

OVERRIDES = {"epochs": 8, "tolerance": 1e-12}
"""Longer than other tests' trainings, so that there is something to kill."""


PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])  # PyTorch is imported once for all of them


def start(family: str, data_folder: Path, out: Path) -> BaseProcess:
    """Train ``family`` in a process that is killed with this one at the latest."""
    process = PROCESSES.Process(target=_train, args=(family, data_folder, out), daemon=True)
    process.start()
    return process


def _train(family: str, data_folder: Path, out: Path) -> None:
    torch.set_num_threads(1)
    data = PreparedData(data_folder)
    module = models.family(family)
    known = {key: value for key, value in OVERRIDES.items() if key in module.Config.model_fields}
    config = tiny.settings(family, **known)
    resume_file = out / "point.safetensors"
    with Run(family, resume_file=resume_file, save_seconds=0.0, save_share=math.inf) as run:
        model = tiny.begin(family, config, data)
        module.fit(model, data, run)
    tiny.save(out, family, config, data, model, run)
