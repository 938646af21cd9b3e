"""The head's side of a Ray cluster: each stage is a Ray task, which a node does in a private workspace."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from data.errors import UserError, first_line
from flows.remote_stages.demand import TOUCH, Demand
from flows.remote_stages.task import Report, Task
from flows.stages.process import StageFailed

if TYPE_CHECKING:
    from ray.remote_function import RemoteFunction
    from ray.util.client.common import ClientObjectRef

CONNECTS = 3
"""How often a connection is tried: a busy cluster may not have a process for a new client in its 10 s."""

LOOKS = 30.0
"""Seconds between two looks at whether any node is left that could do a stage."""


class Cluster:
    """A Ray cluster, of which this process is a client for as long as the block lasts.

    Ray ends what runs for a client that is gone: at once where it said so, 30 s after it was killed.
    """

    def __init__(self, address: str) -> None:
        """Take the cluster at ``address``, as ``ray://HEAD:10001``."""
        self._address = address

    def __enter__(self) -> Cluster:
        """Connect.

        Raises:
            UserError: Ray is not installed, or the cluster does not answer or has another version.
        """
        # Without a connection, any call to Ray would else start a cluster on this machine.
        os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
        try:
            import ray
        except ModuleNotFoundError:
            raise UserError(
                f"engine {self._address}: Ray is not installed. pip install 'darkroom[ray]'"
            ) from None
        self._connect(ray.init)
        self._run = ray.remote(_function())
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()

    def _connect(self, init: Callable[..., object]) -> None:
        host, _, port = self._address.removeprefix("ray://").partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself tries for a minute
        except OSError as error:
            raise UserError(f"engine {self._address}: does not answer: {error}") from None
        for is_last in [False] * (CONNECTS - 1) + [True]:
            try:
                init(self._address, log_to_driver=False, logging_level="ERROR")
                return
            except ConnectionError as error:
                if is_last:
                    raise UserError(f"engine {self._address}: {first_line(error)}") from None
            except RuntimeError as error:  # another version of Ray or Python there
                raise UserError(f"engine {self._address}: {' '.join(str(error).split())}") from None

    def nodes(self) -> list[dict[str, float]]:
        """Return the resources of each node that is up, by Ray's names; what stages hold now counts, too.

        Raises:
            ConnectionError: the cluster has been out of reach for longer than Ray waits.
        """
        import ray

        if not ray.is_initialized():
            raise ConnectionError(f"{self._address} does not answer any more")
        try:
            return [node["Resources"] for node in ray.nodes() if node["Alive"]]
        except ValueError as error:  # of gRPC, while the connection is made again
            raise ConnectionError(f"{self._address}: {error}") from None

    def require(self, stage: str, demand: Demand) -> None:
        """Make sure that a node could hold ``stage``, which would else wait for ever.

        Raises:
            UserError: none could.
        """
        nodes = self.nodes()
        if not any(demand.fits(node) for node in nodes):
            told = "; ".join(sorted({_quantities(node) for node in nodes})) or "nothing"
            raise UserError(
                f"params.yaml: {stage} needs {_quantities(demand.resources())} of a node (threads and resources), and "
                f"no node of {self._address} has that. They have: {told}."
            )

    def worker(self, demand: Demand) -> RayWorker:
        """Return who does one task on a node that has what it needs."""
        return RayWorker(self, self._run, demand)


class RayWorker:
    """Does one task as a Ray task."""

    def __init__(self, cluster: Cluster, function: RemoteFunction, demand: Demand) -> None:
        """Do it by ``function`` on a node of ``cluster`` that has ``demand``."""
        self._cluster, self._function, self._demand = cluster, function, demand
        self._ref: ClientObjectRef | None = None
        self._is_stopped = False
        self._changing = threading.Lock()

    def do(self, task: Task) -> Report:
        """Do ``task`` and return how it went.

        Raises:
            StageFailed: it was stopped, its node died, or no node is left that could do it.
        """
        import ray

        try:
            with self._changing:
                if self._is_stopped:
                    raise StageFailed(f"{task.stage} was stopped.")
                self._cluster.nodes()  # without a connection Ray would raise no error of a class of its own
                self._ref = self._function.options(**self._options(task)).remote(task.to_json())
            return Report.from_json(self._result(task))
        except (ray.exceptions.RayError, ConnectionError) as error:
            if self._is_stopped:
                raise StageFailed(f"{task.stage} was stopped.") from None
            told = f"{type(error).__name__}: {first_line(error)}"
            raise StageFailed(f"{task.stage}: was lost on its node: {told}", is_transient=True) from None

    def _options(self, task: Task) -> dict[str, Any]:
        wanted = self._demand
        return {
            "name": task.stage,
            "num_cpus": wanted.cpus,
            "num_gpus": wanted.gpus,
            "memory": wanted.memory or None,
            "resources": {wanted.where: TOUCH} if wanted.where else {},
            "max_retries": 0,  # the flow tries again: it tells of it, and knows what is worth another try
        }

    def _result(self, task: Task) -> str:
        future = self._ref.future()
        while True:
            try:
                return future.result(LOOKS)
            except TimeoutError:
                if future.done():  # of Ray's own
                    raise
            try:
                self._cluster.require(task.stage, self._demand)
            except UserError as error:  # the last node for it died
                self.stop()
                raise StageFailed(str(error), is_transient=True) from None

    def stop(self) -> None:
        """Stop it: its node ends what it started, and removes its workspace."""
        import ray

        with self._changing:
            self._is_stopped = True
            if self._ref is not None and ray.is_initialized():
                with contextlib.suppress(ConnectionError):  # then the cluster has ended it, or will
                    ray.cancel(self._ref)


def _function() -> Callable[[str], str]:
    # A function in a function goes to the cluster by value: no node has to have Darkroom to tell that it has not.
    def do_stage(task: str) -> str:
        try:
            from flows.remote_stages import ray_node
        except ModuleNotFoundError as error:
            import json
            import socket

            told = (
                f"{socket.gethostname()}: {error}: pip install 'darkroom[ray]' on each node of the cluster."
            )
            return json.dumps({"how": "failed", "message": told})
        return ray_node.do(task)

    return do_stage


def _quantities(resources: dict[str, float]) -> str:
    told = []
    for name, value in sorted(resources.items()):
        if name == "memory":
            told.append(f"memory {value / 1e9:.0f} GB")
        elif name in ("CPU", "GPU"):
            told.append(f"{name} {value:g}")
        elif not name.startswith(("node:", "object_store", "accelerator_type:")):
            told.append(name)
    return ", ".join(told)
