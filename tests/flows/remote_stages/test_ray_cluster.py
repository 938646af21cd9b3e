"""Stages on a real Ray cluster of two nodes."""

from __future__ import annotations

import signal
import subprocess
import threading
import time

import psutil
import pytest

from data.errors import UserError
from flows.remote_stages.demand import Demand
from flows.remote_stages.ray_cluster import Cluster, RayWorker
from flows.remote_stages.storage import open_elsewhere
from flows.remote_stages.task import Report, Task
from flows.stages.process import StageFailed
from tests.flows.pipeline import ROOT, Pipeline, kill_9
from tests.flows.remote_stages import ray_nodes

ANYWHERE = Demand(1, 0, 0, "")


@pytest.fixture(scope="module")
def nodes():
    with ray_nodes.nodes() as started:
        yield started


@pytest.fixture(scope="module")
def cluster(nodes):
    with Cluster(nodes.address) as connected:
        yield connected


class Doing:
    """A worker that does a task beside the test."""

    def __init__(self, worker: RayWorker, task: Task) -> None:
        self.worker = worker
        self._task = task
        self._ended: list[Report | StageFailed] = []
        self._thread = threading.Thread(target=self._do)
        self._thread.start()

    def end(self) -> Report | StageFailed:
        self._thread.join(60)
        return self._ended[0]

    def _do(self) -> None:
        try:
            self._ended.append(self.worker.do(self._task))
        except StageFailed as error:
            self._ended.append(error)


def test_stopped_it_leaves_nothing_and_on_a_lost_node_it_goes_on_elsewhere(nodes, cluster, project):
    nodes.work_in(project.folder)
    task, wait = project.task(), project.folder / "wait-one"
    wait.touch()
    storage = open_elsewhere(task.remote)

    on_second = Doing(cluster.worker(Demand(1, 1, 1e9, "second")), task)
    project.wait_for(lambda: storage.names("darkroom/resume/one"))
    (stage,) = _stages(nodes, "second")
    assert stage.environ()["CUDA_VISIBLE_DEVICES"] == "0"
    assert "OMP_NUM_THREADS" not in stage.environ()
    waiting = Doing(cluster.worker(Demand(1, 0, 0, "second")), task)  # for the core that the first has
    waiting.worker.stop()
    assert str(waiting.end()) == "train@one was stopped."
    on_second.worker.stop()
    assert str(on_second.end()) == "train@one was stopped."
    assert nodes.wait_until_quiet() == []
    assert project.steps() == ["one 1", "one 2"]

    again = Doing(cluster.worker(Demand(1, 0, 0, "second")), task)
    project.wait_for(lambda: _stages(nodes, "second"))
    assert _stages(nodes, "second")[0].environ()["CUDA_VISIBLE_DEVICES"] == ""
    nodes.lose_second()
    lost = again.end()
    assert "train@one: was lost on its node" in str(lost) and lost.is_transient
    assert nodes.wait_until_quiet() == []
    wait.unlink()
    report = cluster.worker(ANYWHERE).do(task)
    assert (report.how, report.message) == ("ran", "")
    assert project.steps() == ["one 1", "one 2", "one 3"]
    assert nodes.wait_until_quiet() == []


def test_what_no_node_has_is_told_and_not_waited_for(cluster):
    cluster.require("train@one", ANYWHERE)
    with pytest.raises(
        UserError, match=r"train@one needs CPU 1, GPU 9, a100 of a node .* They have: .*CPU 1"
    ):
        cluster.require("train@one", Demand(1, 9, 0, "a100"))


def test_a_cluster_that_does_not_answer_is_told():
    with (
        pytest.raises(UserError, match=r"engine ray://127.0.0.1:1: does not answer: "),
        Cluster("ray://127.0.0.1:1"),
    ):
        pass


@pytest.fixture
def on_ray(nodes, pipeline, prefect, monkeypatch) -> Pipeline:
    """The toy pipeline with ``engine:`` in its ``params.yaml``; a training starts with a resume point and waits."""
    nodes.work_in(pipeline.folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "2")
    ignored = "/artifacts/\n.darkroom/\n.remote/\n*.log\nsleep-*\nwait-*\n"
    (pipeline.folder / ".gitignore").write_text(ignored)
    with (pipeline.folder / "params.yaml").open("a") as params:
        params.write(
            f"engine: {nodes.address}\nresources: {{one: {{gpus: 0, memory_gb: 0.1}}, two: {{gpus: 0}}}}\n"
        )
    return pipeline


@pytest.mark.slow
def test_a_run_on_two_nodes_is_interrupted_and_killed_and_loses_a_node(nodes, on_ray):
    folder = on_ray.folder
    names = ("one", "two")
    for name in names:
        (folder / f"wait-{name}").touch()
    points = folder / ".remote/darkroom/resume"

    def start() -> subprocess.Popen:
        process = on_ray.start()
        give_up = time.monotonic() + 120
        while not (
            all(_stages(nodes, node) for node in ("first", "second"))
            and all(list((points / name).rglob("*.safetensors")) for name in names)
        ):
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < give_up
            time.sleep(0.1)
        return process

    interrupted = start()
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(60) != 0
    assert nodes.wait_until_quiet() == []

    killed = start()
    kill_9(killed)
    assert nodes.wait_until_quiet() == []
    assert on_ray.wait_until_quiet() == []

    last = start()
    nodes.lose_second()
    time.sleep(1)
    for name in names:
        (folder / f"wait-{name}").unlink()
    printed, _ = last.communicate(timeout=240)
    assert last.returncode == 0, printed
    assert "champion" in printed
    assert sorted((folder / "steps.log").read_text().splitlines()) == [
        f"{name} {step}" for name in names for step in (1, 2, 3)
    ]
    assert on_ray.dvc_status() == "Data and pipelines are up to date."
    assert nodes.wait_until_quiet() == []
    assert [path for path in (folder / ".remote/darkroom/snapshots").rglob("*") if path.is_file()] == []


def _stages(nodes: ray_nodes.Nodes, node: str) -> list[psutil.Process]:
    return [process for process in nodes.processes(node) if _is_stage(process)]


def _is_stage(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[1:3] == ["-m", "tests.flows.toy_stage"]
    except psutil.NoSuchProcess:
        return False
