"""Trainings by two ranks, processes on the CPU that talk by gloo: one pair goes through many trainings in turn."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
import torch._dynamo  # by the first optimizer otherwise, in each process
from torch.optim.optimizer import register_optimizer_step_pre_hook

import models
from data.prepared import PreparedData
from models import launch, ranks
from models.blocks import noise
from models.run import Run
from tests.models import tiny

get_context("forkserver").set_forkserver_preload([__name__])  # PyTorch is imported once for all of them

UNEVEN = {"batch_size": 31, "dropout": 0.0, "epochs": 1}
"""Batches of which one rank has a row more. Units are dropped by each rank's own numbers, so none is here."""
LONG = {"batch_size": 31, "epochs": 8}
"""So that there is something to kill."""


@dataclass(frozen=True)
class Training:
    """A training to do, of data in ``folder``; the checkpoint, and the resume point where it has one, go to ``out``.

    Attributes:
        precisely: whether it computes with 64 bits.
        resumable: whether it goes on from a resume point where there is one.
        saving: whether it saves one at every opportunity.
    """

    family: str
    folder: Path
    out: Path
    overrides: dict[str, object] = field(default_factory=lambda: UNEVEN)
    precisely: bool = False
    resumable: bool = False
    saving: bool = False


def in_pair(trainings: Sequence[Training]) -> None:
    """Do ``trainings`` by two ranks, which begin now and end then."""
    launch.launch(go_through, (trainings,), gpus=(None, None), backend="gloo", method="forkserver")


def go_through(trainings: Sequence[Training]) -> None:
    """Do ``trainings`` in this process, alone or as a rank; what each optimizer step was given is kept, too."""
    torch.set_num_threads(1)
    for training in trainings:
        gradients: list[torch.Tensor] = []
        hook = register_optimizer_step_pre_hook(
            lambda optimizer, *_, to=gradients: to.append(_flat(optimizer))
        )
        with _precisely() if training.precisely else nullcontext():
            _train(training, gradients)
        hook.remove()


@contextmanager
def _precisely() -> Iterator[None]:
    """Compute with 64 bits: what differs afterwards is no rounding, of which a ReLU or a batch norm makes much."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        patch.setattr(noise, "_QUANTILES", noise._QUANTILES.double())
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def _train(training: Training, gradients: list[torch.Tensor]) -> None:
    data, module = PreparedData(training.folder), models.family(training.family)
    known = {key: value for key, value in training.overrides.items() if key in module.Config.model_fields}
    config = tiny.settings(training.family, **known)
    training.out.mkdir(parents=True, exist_ok=True)
    (training.out / f"rank-{ranks.number()}").write_text(str(os.getpid()))
    point = training.out / "point.safetensors" if training.resumable else None
    seconds = 0.0 if training.saving else math.inf
    with Run(training.family, resume_file=point, save_seconds=seconds, save_share=math.inf) as run:
        model = tiny.begin(training.family, config, data)
        module.fit(model, data, run)
    if ranks.is_first():
        tiny.save(training.out, training.family, config, data, model, run)
        torch.save((gradients, run.history), training.out / "course.pt")


def _flat(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return torch.cat([parameter.grad.reshape(-1) for parameter in parameters if parameter.grad is not None])
