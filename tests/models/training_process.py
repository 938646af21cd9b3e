"""A real training in a process of its own, to be killed.

Where it saves, it writes a resume point at every opportunity, so that a kill falls between any two of them.
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


def start(family: str, data_folder: Path, out: Path, *, saving: bool = False) -> BaseProcess:
    """Train ``family``, from a resume point in ``out`` if there is one, in a process that dies with this one."""
    process = PROCESSES.Process(target=_train, args=(family, data_folder, out, saving), daemon=True)
    process.start()
    return process


def _train(family: str, data_folder: Path, out: Path, saving: bool) -> None:
    torch.set_num_threads(1)
    data = PreparedData(data_folder)
    module = models.family(family)
    known = {key: value for key, value in OVERRIDES.items() if key in module.Config.model_fields}
    config = tiny.settings(family, **known)
    resume_file = out / "point.safetensors"
    often = {"save_seconds": 0.0, "save_share": math.inf} if saving else {"save_seconds": math.inf}
    with Run(family, resume_file=resume_file, **often) as run:
        model = tiny.begin(family, config, data)
        module.fit(model, data, run)
    tiny.save(out, family, config, data, model, run)
