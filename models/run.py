"""What a training is given: a device, seeds, a history to write, and points to resume from."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data.errors import UserError
from models import ranks, resume
from models.progress import Progress


def find_device(device: str, where: str = "device") -> torch.device:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` means here.

    Raises:
        UserError: ``cuda`` is demanded and there is none; the message names ``where``.
    """
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise UserError(
            f"{where}: 'cuda' is demanded, but this machine has no CUDA GPU. Use 'auto' or 'cpu'."
        )
    return torch.device("cuda" if present and device != "cpu" else "cpu")


def processor(device: torch.device) -> str:
    """Return the kind of processor behind ``device``; another kind rounds otherwise, and trains other last bits.

    Of a CPU it is the instruction set that PyTorch uses, and the name where Linux tells it: libraries choose among
    their kernels by either.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    kind = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    return f"{kind} ({name})" if name else kind


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        last: the weights at the end, on the CPU (the model itself holds the best ones).
        steps: optimizer steps or iterations taken.
        best: what "best" means and how good it was, such as ``{"metric": "loss", "value": 0.1, "step": 400}``.
    """

    last: dict[str, Tensor]
    steps: int
    best: dict[str, Any]


@dataclass
class Run:
    """One training run. Use it as a context manager: entering seeds every generator and fixes the arithmetic.

    Attributes:
        name: the model's name, for display.
        seed: seeds every random draw.
        device: where to compute.
        threads: CPU threads; another number sums in another order and gives other bits.
        resume_file: where resume points lie; None for a training that is not resumable.
        save_seconds: least time between two resume points.
        save_share: greatest share of the time that resume points may take; large models then have fewer.
        shown: whether people see how far it is.
        history: a row of numbers per epoch or iteration, without times: it must be the same in every run.
        outcome: set by :meth:`finish`.
        generator: the generator, on ``device``, of all draws that are not torch's own (initial weights, dropout).
        images: how many training images were processed since it began, by all ranks, for the speed.
        done: how much of the training lies behind, in [0, 1): what a loss may change with; set before each step.
        phase: which of several trainings of one ``fit`` is on, set by that ``fit``; a resume point belongs to one.
    """

    name: str
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    threads: int = 1
    resume_file: Path | None = None
    save_seconds: float = 5.0
    save_share: float = 0.05
    shown: bool = True
    history: list[dict[str, float]] = field(default_factory=list, init=False)
    outcome: Outcome | None = field(default=None, init=False)
    generator: torch.Generator = field(init=False)
    images: int = field(default=0, init=False)
    done: float = field(default=0.0, init=False)
    phase: str = field(default="", init=False)

    def __enter__(self) -> Run:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = (
            ":4096:8"  # cuBLAS is deterministic only with a fixed workspace
        )
        # The same as use_deterministic_algorithms(True), without its import of the compiler: 1.5 s.
        torch.set_deterministic_debug_mode("error")
        torch.utils.deterministic.fill_uninitialized_memory = (
            False  # a debugging aid that costs a tenth of the time
        )
        torch.set_num_threads(self.threads)
        torch.manual_seed(self.seed)
        self.generator = torch.Generator(self.device).manual_seed(self.seed)
        self._progress = Progress("train", self.name) if self.shown and ranks.is_first() else None
        self._started = self._saved = time.monotonic()
        self._save_cost = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.close()

    def autocast(self) -> torch.autocast:
        """Return the precision context: bfloat16 where it pays (matrix products on a GPU), float32 on a CPU."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda")

    def record(self, **row: float) -> None:
        """Append a row to the history."""
        self.history.append(row)

    def name_phase(self, name: str) -> None:
        """Give the rows so far, of a phase that is over, columns of their own: ``train_NAME_loss`` and so on."""
        self.history[:] = [
            {key.replace("_", f"_{name}_", 1): row[key] for key in row} for row in self.history
        ]

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
        """Show how far the training is; ``unit`` is singular (``step``, ``iteration``)."""
        if self._progress:
            self._progress.update(done, total, unit, metrics, self.phase)

    def save_due(self) -> bool:
        """Say whether it is time for a resume point; of several ranks the first decides."""
        if self.resume_file is None:
            return False
        wait = max(self.save_seconds, self._save_cost / self.save_share)
        return ranks.agreed(time.monotonic() - self._saved >= wait)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a resume point: ``state``, every random generator's state, and the history so far.

        All ranks call it: each has random states of its own. The first one's ``state`` is written.
        """
        started = time.monotonic()
        randomness = [torch.get_rng_state(), self.generator.get_state()]
        if self.device.type == "cuda":
            randomness.append(torch.cuda.get_rng_state(self.device))
        randomness = [ranks.stacked(state) for state in randomness]
        if not ranks.is_first():
            return
        point = {"phase": self.phase, "state": dict(state), "random": randomness, "history": self.history}
        resume.save(self.resume_file, point)
        self._saved = time.monotonic()
        self._save_cost = self._saved - started

    def restore(self) -> dict[str, Any] | None:
        """Return the ``state`` of the phase's resume point, generators and history set back; None where there is none.

        Tensors are on the CPU; ``load_state_dict`` brings them where they belong.
        """
        point = self._point()
        if point is None or point["phase"] != self.phase:
            return None
        for restore, state in zip(self._generators(), point["random"], strict=True):
            restore(state[ranks.number()].clone())
        self.history[:] = point["history"]
        return point["state"]

    def resumes(self, phase: str) -> bool:
        """Say whether there is a resume point and ``phase`` is the one that it was saved in."""
        point = self._point()
        return point is not None and point["phase"] == phase

    def _point(self) -> dict[str, Any] | None:
        """Return the resume point, if there is one; one that is damaged is discarded with a line."""
        if self.resume_file is None or not self.resume_file.exists():
            return None
        try:
            return resume.load(self.resume_file)
        except resume.Damaged as error:
            print(f"discarded, the training starts over: {error}", file=sys.stderr)
            self.resume_file.unlink(missing_ok=True)  # by another rank
            return None

    def finish(self, *, last: Mapping[str, Tensor], steps: int, best: Mapping[str, Any]) -> None:
        """Tell how the training ended; see :class:`Outcome`."""
        self.outcome = Outcome(
            {key: value.detach().cpu().clone() for key, value in last.items()}, steps, dict(best)
        )

    def speed(self) -> dict[str, float]:
        """Return ``seconds`` since the start and ``images_per_second``, both of this process only."""
        seconds = time.monotonic() - self._started
        return {"seconds": seconds, "images_per_second": self.images / seconds}

    def _generators(self) -> list[Any]:
        setters = [torch.set_rng_state, self.generator.set_state]
        if self.device.type == "cuda":
            setters.append(lambda state: torch.cuda.set_rng_state(state, self.device))
        return setters


def forget(folder: Path) -> None:
    """Remove all resume points of a model: its training is over, and older settings' points are stale."""
    shutil.rmtree(folder, ignore_errors=True)
