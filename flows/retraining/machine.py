"""What this machine holds: how many stages run side by side, and which training has which GPUs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from components.project.sections import Params
from data.cores import available
from data.errors import UserError


def gpus() -> list[str]:
    """Return the indices of this machine's NVIDIA GPUs, those that ``CUDA_VISIBLE_DEVICES`` leaves visible."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [index for index in visible.split(",") if index.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
    return (
        [str(index) for index, _ in enumerate(listed.stdout.splitlines())] if listed.returncode == 0 else []
    )


def require_gpus(settings: Params, models: Iterable[str]) -> None:
    """Check that this machine has as many GPUs as each of ``models`` is to be trained on.

    Raises:
        UserError: it has fewer; a line for each model.
    """
    several = {name: settings.model(name).gpus for name in models if settings.model(name).gpus > 1}
    if not several:
        return
    there = len(gpus())
    lacking = [
        f"{settings.where(name)}.gpus: {wanted}, but this machine has {there}. Use at most {max(1, there)}, or leave it"
        " out: a model is trained on one GPU, or on the CPU where there is none."
        for name, wanted in several.items()
        if wanted > there
    ]
    if lacking:
        raise UserError("\n".join(lacking))


class Machine:
    """Cores shared between stages, and GPUs leased to a training each, or several to one."""

    def __init__(self, cores: int | None = None, devices: list[str] | None = None) -> None:
        """Count ``cores`` and GPU ``devices``, by default those of this machine."""
        self.cores = cores or available()
        self.devices = gpus() if devices is None else devices
        self._free = self.cores
        self._waiting: list[tuple[int, int]] = []
        self._changed = threading.Condition()

    @contextmanager
    def threads(self, count: int, rank: int = 0, least: int | None = None) -> Iterator[None]:
        """Hold ``count`` cores; a demand for more than there are gets all of them.

        Of those who wait and would fit, the one with the lowest ``rank`` is next. With ``least``, that many free ones
        are enough: who waits for more is overtaken by all who need fewer, whatever their rank.
        """
        count = min(count, self.cores)
        demand = (rank, min(count, least or count))
        with self._changed:
            self._waiting.append(demand)
            self._changed.wait_for(lambda: demand == self._next())
            self._waiting.remove(demand)
            count = min(count, self._free)
            self._free -= count
            self._changed.notify_all()  # what is left may be enough for the next one
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()

    def _next(self) -> tuple[int, int] | None:
        return min((demand for demand in self._waiting if demand[1] <= self._free), default=None)

    @contextmanager
    def gpus(self, count: int) -> Iterator[list[str]]:
        """Hold ``count`` GPUs and yield their indices; of a demand for more than there are all, which may be none.

        A lease is a file lock: the kernel drops it when its holder dies, so no crash leaves a GPU taken, and two
        projects on one machine see each other's. Who wants several keeps each that becomes free until it has all, or
        those who want one would always be before it; there is one such at a time, or two might wait for each other's.
        """
        count = min(count, len(self.devices))
        if not count:
            yield []
            return
        from filelock import FileLock, Timeout

        folder = Path(tempfile.gettempdir()) / "darkroom-gpu-leases"
        folder.mkdir(mode=0o777, exist_ok=True)
        pause = threading.Event()
        with ExitStack() as leases:
            held: list[str] = []
            with FileLock(folder / "several.lock") if count > 1 else ExitStack():
                while len(held) < count:
                    for index in self.devices:
                        if index in held or len(held) == count:
                            continue
                        try:
                            leases.enter_context(FileLock(folder / f"{index}.lock").acquire(blocking=False))
                        except Timeout:
                            continue
                        held.append(index)
                    if len(held) < count:
                        pause.wait(1.0)
            yield held
