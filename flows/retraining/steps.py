"""One retraining of some models: does its steps one by one, as the flow asks, and can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rich.console import Console

from flows.remote_stages import demand
from flows.remote_stages.head import AT_HEAD, Head, Worker
from flows.remote_stages.local_worker import LocalWorker
from flows.remote_stages.ray_cluster import Cluster
from flows.retraining.alerts import RunAlerts
from flows.retraining.display import Display
from flows.retraining.machine import Machine
from flows.retraining.plan import Plan
from flows.stages import dag, fork_server, order, time_limits
from flows.stages.process import NotAtHand, StageFailed, StageProcess


class Retraining:
    """The steps of a retraining: the stages of the DAG, ``register@model``, ``gate@model``, ``push`` and ``report``.

    Attributes:
        failures: step to message, of those that failed.
        ran: stages whose command ran or whose outs came from the cache.
        folder: logs of the stages.
    """

    def __init__(self, plan: Plan, console: Console) -> None:
        """Do what ``plan`` says."""
        self.models = list(plan.models)
        self.stages = {stage.address: stage for stage in plan.stages}
        self.failures: dict[str, str] = {}
        self.ran: set[str] = set()
        self.folder = plan.folder
        self._plan = plan
        self._alerts = RunAlerts(plan, console)
        self._machine = Machine()
        self._rank = order.ranks(plan.stages, plan.models)
        self._head = None if plan.settings.engine == "local" else Head(self.stages, self.folder)
        self._cluster = Cluster(plan.settings.engine) if plan.settings.engine.startswith("ray://") else None
        self._demands: dict[str, demand.Demand] = {}
        self._processes: set[StageProcess | Worker] = set()
        self._stopping = threading.Event()
        self._resources = ExitStack()
        self._programs: Path | None = None
        # The registry's steps of two models share one store: one at a time costs less than a retried transaction.
        self._registry = threading.Lock()
        self._after = {
            "register": self._register,
            "gate": self._gate,
            "push": self._push,
            "report": self._report,
        }
        after = [f"{kind}@{model}" for model in self.models for kind in ("register", "gate")]
        to_run = [stage.address for stage in plan.may_run]
        self.display = Display([*self.stages, *after], self.folder, console, to_run, self._machine.cores)

    def __enter__(self) -> Retraining:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resources.enter_context(self._alerts)
        if self._cluster is not None:
            self._resources.enter_context(self._cluster)
            self._demands = self._look_for_nodes()
        if self._head is not None:
            self._resources.enter_context(self._head)
        self._resources.enter_context(self.display)
        self._programs = fork_server.programs()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def do(self, step: str) -> str:
        """Do ``step`` and return how it went.

        Raises:
            StageFailed: a stage failed or was stopped.
            UserError: the registry refused.
        """
        self._refuse_when_stopping(step)
        kind, _, item = step.partition("@")
        try:
            if step in self.stages:
                how = self._reproduce(self.stages[step])
            else:
                with self._registry:
                    self._refuse_when_stopping(step)
                    self.display.started(step)
                    how = self._after[kind](item)
        except BaseException as error:
            self.failures[step] = str(error) or type(error).__name__
            if self._stopping.is_set():
                self.display.ended(step, "stopped")
            else:
                self.display.ended(step, "failed", self.failures[step])
            raise
        self.failures.pop(step, None)
        self.display.ended(step, how)
        return how

    def tell_failure(self, step: str) -> None:
        """Have people told that ``step`` failed and is not tried again."""
        if not self._stopping.is_set():
            self._alerts.failed(step, self.failures.get(step, ""))

    def stop(self) -> None:
        """Stop everything that runs and let nothing more start. Safe to call from a signal's handling."""
        self._stopping.set()
        for process in list(self._processes):
            process.stop()

    def _refuse_when_stopping(self, step: str) -> None:
        if self._stopping.is_set():
            raise StageFailed(f"{step} was not started: the run is stopping")

    def dataset(self, model: str) -> str:
        """Return the data set of ``model``."""
        return self._plan.settings.model(model).dataset

    def is_elsewhere(self, step: str) -> bool:
        """Whether ``step`` is a stage that does not run in this workspace."""
        return self._head is not None and step in self.stages and self.stages[step].kind not in AT_HEAD

    def _look_for_nodes(self) -> dict[str, demand.Demand]:
        """Return what the stages that may run need of the cluster; somewhere there is a node for each."""
        has_gpus = any(node.get("GPU") for node in self._cluster.nodes())
        found = {}
        for stage in self._plan.may_run:
            if self.is_elsewhere(stage.address):
                cpus = 1 if stage.kind == "prepare" else self._threads(stage)
                wanted = demand.of_stage(
                    self._plan.settings, stage.kind, stage.item, cpus=cpus, has_gpus=has_gpus
                )
                self._cluster.require(stage.address, wanted)
                found[stage.address] = wanted
        return found

    def _reproduce(self, stage: dag.Stage) -> str:
        forced = stage.item in self._plan.forced
        if not forced and stage.address not in self._plan.stale and self.ran.isdisjoint(stage.upstream):
            return "unchanged"
        if stage.address in self._demands:
            how = self._on_cluster(stage, forced)
        else:
            how = self._on_this_machine(stage, forced)
        if how != "unchanged":
            self.ran.add(stage.address)
        return how

    def _on_this_machine(self, stage: dag.Stage, forced: bool) -> str:
        # The GPUs first: whoever waits for one must not hold cores that other stages could use.
        with (
            self._machine.gpus(self._gpus(stage)) as gpus,
            self._machine.threads(self._threads(stage), self._rank[stage.address], _least_threads(stage)),
        ):
            self._refuse_when_stopping(stage.address)
            self.display.started(stage.address)
            environment = {"DARKROOM_PROGRESS": str(self.display.progress_file(stage.address).absolute())}
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
            # A stage on a GPU runs for longer than its imports take, and CUDA wants a process of its own.
            programs = None if gpus else self._programs
            if not self.is_elsewhere(stage.address):
                return self._here(stage, environment, programs, force=forced)
            if not forced:
                with suppress(NotAtHand):
                    return self._here(stage, environment, programs, restore_only=True)
            log = self.folder / f"{stage.address}.worker.log"
            return self._by(LocalWorker(log, environment, programs), stage, forced)

    def _on_cluster(self, stage: dag.Stage, forced: bool) -> str:
        self._refuse_when_stopping(stage.address)
        self.display.started(stage.address)
        if not forced:
            with suppress(NotAtHand), self._machine.threads(1, self._rank[stage.address]):
                return self._here(stage, {}, self._programs, restore_only=True)
        return self._by(self._cluster.worker(self._demands[stage.address]), stage, forced)

    def _here(self, stage: dag.Stage, environment: dict[str, str], programs: Path | None, **how: bool) -> str:
        log = self.folder / f"{stage.address}.log"
        process = StageProcess(stage.name, log, environment, programs=programs, **how)
        with self._stoppable(process):
            return process.run(self._time_limit(stage))

    def _by(self, worker: Worker, stage: dag.Stage, forced: bool) -> str:
        with self._stoppable(worker):
            return self._head.do(stage, worker, self._time_limit(stage), forced)

    @contextmanager
    def _stoppable(self, process: StageProcess | Worker) -> Iterator[None]:
        self._processes.add(process)
        try:
            yield
        finally:
            self._processes.discard(process)

    def _time_limit(self, stage: dag.Stage) -> float:
        return time_limits.seconds(stage.kind, self._plan.settings.time_limits)

    def _threads(self, stage: dag.Stage) -> int:
        if stage.kind in ("ingest", "prepare"):
            return self._machine.cores
        if stage.kind in ("validate", "labels", "judge", "weights"):
            return 1
        entry = self._plan.settings.model(stage.item)
        return entry.threads * entry.gpus if stage.kind == "train" else entry.threads

    def _gpus(self, stage: dag.Stage) -> int:
        if stage.kind not in ("train", "evaluate"):
            return 0
        entry = self._plan.settings.model(stage.item)
        if entry.device == "cpu":
            return 0
        return entry.gpus if stage.kind == "train" else 1

    def _register(self, model: str) -> str:
        from components import register

        return "ran" if register.run(model).created else "unchanged"

    def _gate(self, model: str) -> str:
        from components import gate

        verdict = gate.run(model).verdict
        self._alerts.decided()
        return verdict

    def _push(self, _: str) -> str:
        from flows.stages.push import push

        push(self.folder / "push.log")
        return "ran"

    def _report(self, _: str) -> str:
        from components import report

        report.run()
        return "ran"


def _least_threads(stage: dag.Stage) -> int | None:
    """Return how many cores are enough for a stage to begin; None where it needs all of its threads.

    Decoding images is as many threads as there are cores, but no training shall go before its data for that.
    """
    return 1 if stage.kind in ("ingest", "prepare") else None
