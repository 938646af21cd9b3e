"""Starting the ranks of a training, and ending all of them when one dies."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from data.errors import UserError
from models import ranks


class RankDied(Exception):
    """A rank was killed or failed, and the others were ended. Another try goes on from the last resume point."""


@dataclass
class _Rank:
    number: int
    process: BaseProcess
    report: Connection

    @property
    def worth_telling(self) -> tuple[bool, int]:
        """What to sort by: one that was killed comes first, those that then missed it after it."""
        return self.process.exitcode >= 0, self.number


def launch(
    work: Callable[..., object],
    arguments: tuple[object, ...],
    *,
    gpus: Sequence[str | None],
    backend: str,
    method: str = "spawn",
) -> None:
    """Call ``work(*arguments)`` in a process for each of ``gpus``, all of them ranks of one training, and wait.

    They end with this process, in whatever way it ends.

    Args:
        work: a function of a module.
        arguments: what can be pickled.
        gpus: what each rank sees of this machine's GPUs, as ``CUDA_VISIBLE_DEVICES`` has it; None for all of them.
        backend: as of :func:`models.ranks.member`.
        method: how processes are started, of :mod:`multiprocessing`. No CUDA survives a fork.

    Raises:
        UserError: a rank found a mistake of the user.
        RankDied: a rank was killed or failed.
    """
    context = get_context(method)
    started: list[_Rank] = []
    with TemporaryDirectory(prefix="darkroom-ranks-") as folder:
        try:
            for number, gpu in enumerate(gpus):
                receiving, sending = context.Pipe(duplex=False)
                place = number, len(gpus), backend, Path(folder) / "meeting"
                process = context.Process(
                    target=_be, args=(place, gpu, sending, work, arguments), daemon=True
                )
                process.start()
                sending.close()
                started.append(_Rank(number, process, receiving))
            _wait(started)
        finally:
            for rank in started:
                rank.process.kill()
            for rank in started:
                rank.process.join()


def _wait(running: list[_Rank]) -> None:
    count = len(running)
    while running:
        connection.wait([rank.process.sentinel for rank in running])
        for rank in running:
            rank.process.join(0)
        failed = [rank for rank in running if rank.process.exitcode not in (None, 0)]
        if failed:
            raise _error(min(failed, key=lambda rank: rank.worth_telling), count)
        running = [rank for rank in running if rank.process.exitcode is None]


def _error(rank: _Rank, count: int) -> Exception:
    """Return what happened to ``rank``."""
    told = f"rank {rank.number} of {count}"
    after = "The other ranks were ended. The next try goes on from the last resume point."
    status = rank.process.exitcode
    if status < 0:
        return RankDied(f"{told} was killed by signal {-status} (out of memory?). {after}")
    try:
        is_mistake, message = rank.report.recv()
    except EOFError:
        return RankDied(f"{told} ended with status {status} and without a word. {after}")
    return UserError(message) if is_mistake else RankDied(f"{told} failed. {after}\n{message}")


def _be(
    place: tuple[int, int, str, Path],
    gpu: str | None,
    report: Connection,
    work: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    """Be a rank: what the processes run."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if gpu is not None:  # CUDA looks when it is first used, which it was not
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    try:
        with ranks.member(*place):
            work(*arguments)
    except UserError as error:
        _leave(report, True, str(error))
    except BaseException:
        _leave(report, False, traceback.format_exc())


def _leave(report: Connection, is_mistake: bool, message: str) -> None:
    """Tell what happened before the others notice that this rank is gone, and end without waiting for them."""
    report.send((is_mistake, message))
    os._exit(1)


def _end_with_parent() -> None:
    """Wait for the end of who started this rank, and end: it may be in the midst of waiting for another."""
    connection.wait([parent_process().sentinel])
    os._exit(1)
