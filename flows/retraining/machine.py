"""What this machine holds: how many stages run side by side, and one training to a GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.cores import available


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


class Machine:
    """Cores shared between stages, and GPUs leased to one training each."""

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
    def gpu(self, wanted: bool) -> Iterator[str | None]:
        """Hold one GPU and yield its index; None at once when none is wanted or there is none.

        The lease is a file lock: the kernel drops it when its holder dies, so no crash leaves a GPU taken, and two
        projects on one machine see each other's.
        """
        if not wanted or not self.devices:
            yield None
            return
        from filelock import FileLock, Timeout

        folder = Path(tempfile.gettempdir()) / "darkroom-gpu-leases"
        folder.mkdir(mode=0o777, exist_ok=True)
        pause = threading.Event()
        while True:
            for index in self.devices:
                lease = FileLock(folder / f"{index}.lock")
                try:
                    with lease.acquire(blocking=False):
                        yield index
                        return
                except Timeout:
                    continue
            pause.wait(1.0)
