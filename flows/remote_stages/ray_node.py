"""A node's side of a Ray cluster: one task, done by a process of its own that ends with the Ray task."""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from pathlib import Path

from flows.processes import reaper
from flows.remote_stages.local_worker import LocalWorker
from flows.remote_stages.task import Report, Task
from flows.stages.process import StageFailed, ends

LOOKS = 0.2
"""Seconds between two chances for Ray to cancel: it cannot interrupt a wait."""


def do(task: str) -> str:
    """Do a task, as JSON, and return the report, as JSON.

    When Ray cancels the task or kills its process, what it started ends and its workspace goes.
    """
    import ray

    # Ray sets it to the number of cores. How many threads a stage has is part of its recipe.
    os.environ.pop("OMP_NUM_THREADS", None)
    gpus = ",".join(str(index) for index in ray.get_gpu_ids())
    with tempfile.TemporaryDirectory() as folder, reaper.guard(uuid.uuid4().hex):
        log = Path(folder, "log")
        worker = LocalWorker(log, {"CUDA_VISIBLE_DEVICES": gpus}, None)
        reports: list[Report] = []
        thread = threading.Thread(target=lambda: reports.append(_do(worker, Task.from_json(task), log)))
        thread.start()
        try:
            while thread.is_alive():
                thread.join(LOOKS)
        finally:
            worker.stop()
            thread.join()
        return reports[0].to_json()


def _do(worker: LocalWorker, task: Task, log: Path) -> Report:
    try:
        return worker.do(task)
    except StageFailed as error:
        message = str(error).rpartition(" Log: ")[0]
        return Report("failed", message=message, log=ends(log), is_transient=error.is_transient)
