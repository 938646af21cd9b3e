"""Stages as copies of a process with PyTorch loaded: nobody can tell them from a ``python`` of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from data.errors import UserError
from flows.stages import dag, fork_server
from flows.stages.dag import Stage
from flows.stages.process import StageFailed, StageProcess

TRAIN = Stage("train@x", "train", "x", "train@x", "python -m components.train x", (), ())
STAGE = """
import json, os, sys, threading, time, torch
from data import errors
report = {
    "argv": sys.argv[1:], "folder": os.getcwd(), "set": os.environ.get("SET"), "name": __name__,
    "threads": torch.get_num_threads(), "pid": os.getpid(), "stdin": sys.stdin.read(), "path": sys.path[0],
    "python": sys.executable, "edition": errors.EDITION,
}
print(json.dumps(report), flush=True)
print("to standard error", file=sys.stderr)
how = sys.argv[1]
if how == "fail":
    sys.exit(3)
if how == "raise":
    raise KeyError("here")
if how == "multiply":
    torch.set_num_threads(2)
    size = 300
    product = torch.ones(size, size) @ torch.ones(size, size)
    assert (product == size).all()
if how == "sleep":
    time.sleep(60)
"""

ERRORS = """
EDITION = 1

class UserError(Exception):
    pass

def nearest(*_):
    pass
"""
"""Of the project, and what the server runs on itself."""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project of one stage, and a fork server in it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "components").mkdir()
    (folder / "components/__init__.py").touch()
    (folder / "components/train.py").write_text(STAGE)
    (folder / "data").mkdir()
    (folder / "data/__init__.py").touch()
    (folder / "data/errors.py").write_text(ERRORS)
    return folder


@pytest.fixture(scope="module")
def python(project) -> Path:
    before = Path.cwd()
    os.chdir(project)
    try:
        with fork_server.serve(Path("run"), [TRAIN]):
            yield fork_server.programs() / "python"
    finally:
        os.chdir(before)


def _start(python: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [python, *arguments],
        cwd=python.parents[2],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _train(python: Path, how: str, **environment: str) -> subprocess.Popen:
    return _start(python, "-m", "components.train", how, **environment)


def _told(process: subprocess.Popen) -> dict:
    return json.loads(process.stdout.readline())


def _gone(pid: int) -> bool:
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_stage_is_what_a_python_of_its_own_would_be(python):
    forked = _train(python, "well", SET="1")
    plain = subprocess.run(
        [sys.executable, "-m", "components.train", "well"],
        cwd=python.parents[2],
        env={**os.environ, "SET": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    ours, errors = forked.communicate(timeout=60)
    ours, theirs = json.loads(ours), json.loads(plain.stdout)
    assert forked.returncode == 0
    assert errors == plain.stderr == "to standard error\n"
    assert {**ours, "pid": 0} == {**theirs, "pid": 0}
    assert ours["set"] == "1"


def test_code_that_the_server_has_loaded_is_read_anew(python, project):
    _train(python, "well").communicate(timeout=60)  # the server is up
    (project / "data/errors.py").write_text(ERRORS.replace("EDITION = 1", "EDITION = 22"))
    told, errors = _train(python, "well").communicate(timeout=60)
    (project / "data/errors.py").write_text(ERRORS)
    assert json.loads(told)["edition"] == 22, errors


def test_copies_of_one_process(python):
    """That PyTorch was loaded before: the parent of a stage is the server, which has it."""
    stage = _train(python, "sleep")
    parent = psutil.Process(_told(stage)["pid"]).parent()
    assert "flows.stages.fork_server.server" in parent.cmdline()
    assert any("libtorch_cpu" in memory.path for memory in parent.memory_maps())
    stage.terminate()
    stage.communicate()


@pytest.mark.parametrize(("how", "status", "told"), [("fail", 3, ""), ("raise", 1, "KeyError: 'here'")])
def test_how_it_ends(python, how, status, told):
    stage = _train(python, how)
    _, errors = stage.communicate(timeout=60)
    assert stage.returncode == status
    assert told in errors


def test_a_copy_computes_on_several_threads(python):
    stage = _train(python, "multiply")
    _, errors = stage.communicate(timeout=60)
    assert stage.returncode == 0, errors


def test_many_at_once(python):
    stages = [_train(python, "well", SET=str(number)) for number in range(8)]
    told = [json.loads(stage.communicate(timeout=60)[0]) for stage in stages]
    assert [stage["set"] for stage in told] == [str(number) for number in range(8)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_it(python, number):
    stage = _train(python, "sleep")
    pid = _told(stage)["pid"]
    stage.send_signal(number)
    stage.communicate(timeout=30)
    assert stage.returncode == -number
    assert _gone(pid)


def test_it_dies_with_the_command_that_asked_for_it(python):
    stage = _train(python, "sleep")
    pid = _told(stage)["pid"]
    stage.kill()
    assert _gone(pid)
    assert _train(python, "well").communicate(timeout=60)[0], "the server goes on"


def test_an_edit_counts_at_once(python, project):
    (project / "components/train.py").write_text(STAGE + "\nprint('edited')\n")
    try:
        assert "edited" in _train(python, "well").communicate(timeout=60)[0]
    finally:
        (project / "components/train.py").write_text(STAGE)


def test_without_stages_there_is_no_server(project, monkeypatch):
    monkeypatch.chdir(project)
    before = fork_server.programs()
    with fork_server.serve(Path("none"), []):
        assert fork_server.programs() == before
        assert not Path("none").exists()


def test_dvc_ends_after_its_command(toy):
    """Asked to end, it asks its command to; so it records nothing and leaves no lock."""
    Path("sleep-ingest@digits").touch()
    stage = next(stage for stage in dag.read() if stage.address == "ingest@digits")
    with fork_server.serve(Path("run"), [stage]):
        process = StageProcess(stage.address, Path("log"), {}, programs=fork_server.programs())
        threading.Thread(target=_stop_when_running, args=(process,)).start()
        with pytest.raises(StageFailed, match="was stopped"):
            process.run(60)
    assert "failed to reproduce" in Path("log").read_text()
    assert not Path("dvc.lock").exists()
    assert _gone(int(Path("pid").read_text()))


def _stop_when_running(process: StageProcess) -> None:
    while not Path("pid").exists():
        time.sleep(0.05)
    process.stop()


def test_other_commands_are_the_interpreter_s(python):
    stage = _start(python, "-c", "import sys, os; print(os.getppid(), sys.executable)")
    printed, _ = stage.communicate(timeout=30)
    assert printed.split() == [str(os.getpid()), sys.executable]


def test_without_a_server_the_interpreter_does_the_work(project, monkeypatch):
    monkeypatch.chdir(project)
    with fork_server.serve(Path("other"), [TRAIN]):
        programs = fork_server.programs()
        stage = _train(programs / "python", "sleep")
        pid = _told(stage)["pid"]
        psutil.Process(pid).parent().kill()
        assert _gone(pid), "a stage dies with the server"
        assert "the fork server ended" in stage.communicate(timeout=30)[1]
        assert stage.returncode == 1
        printed, _ = _train(programs / "python", "well").communicate(timeout=60)
        assert json.loads(printed)["argv"] == ["well"]
    assert json.loads(_train(programs / "python", "well").communicate(timeout=60)[0])["argv"] == ["well"]


def test_it_ends_with_the_process_that_started_it(tmp_path):
    holder = (
        "import time; from pathlib import Path; import psutil; from flows.stages import fork_server\n"
        "from tests.flows.stages.test_fork_server import TRAIN\n"
        "with fork_server.serve(Path('run'), [TRAIN]):\n"
        "    print(*(child.pid for child in psutil.Process().children()), flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )
    pids = [int(pid) for pid in process.stdout.readline().split()]
    process.kill()
    process.communicate()
    assert len(pids) == 2, "a server for DVC and one for the training"
    for pid in pids:  # a library may be being loaded just now
        assert _gone(pid) or _gone(pid) or _gone(pid)


def test_a_client_that_says_nothing_or_half_does_no_harm(python, project):
    import socket

    address = str((project / "run/fork-server-learning").relative_to(Path.cwd()))
    for message in (b"", b"\0\0"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
            client.sendall(message)
    assert _train(python, "well").communicate(timeout=60)[0]


def test_what_is_loaded_ahead_is_all_that_a_stage_imports_and_leaves_no_pool_of_threads_behind():
    """OpenMP's pool does not survive a fork: a copy that found one would crash or hang in its first product."""
    script = """
import os, signal, sys
from flows.stages.fork_server import server
for preload in server.PRELOADS['learning']:
    preload()
import torch
assert not torch.cuda.is_initialized() and 'onnxruntime' not in sys.modules
pid = os.fork()
if pid == 0:
    signal.alarm(60)
    torch.set_num_threads(2)
    os._exit(int((torch.ones(400, 400) @ torch.ones(400, 400)).sum() != 400**3))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
loaded = set(sys.modules)
import components.train, components.evaluate, components.export, models.logreg
from components.bundles.onnx_export import OPSET
from onnxscript.function_libs.torch_lib import registration
registration.default_registry = None  # nobody reads PyTorch's conversions again
torch.onnx.export(torch.nn.Tanh(), (torch.ones(2, 1),), opset_version=OPSET, dynamo=True, verbose=False)
own = ('flows', 'components', 'models', 'data')
tops = {name: name.partition('.')[0] for name in sys.modules if name not in loaded}
print('late:', sorted(name for name, top in tops.items() if top not in (*own, 'onnxruntime')))
"""
    root = Path(__file__).parents[3]
    ran = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["late: []"]), ran.stderr


def test_they_can_be_turned_off(tmp_path, monkeypatch):
    monkeypatch.setenv(fork_server.SWITCH, "0")
    with fork_server.serve(tmp_path, [TRAIN]):
        assert not list(tmp_path.iterdir())
    monkeypatch.setenv(fork_server.SWITCH, "off")
    with (
        pytest.raises(UserError, match=r"DARKROOM_FORK_SERVER=off: give 0, which .*, or 1\."),
        fork_server.serve(tmp_path, [TRAIN]),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_by_the_signal_that_ended_the_copy(number):
    script = f"from flows.stages.fork_server import client; client.end_as(-{number:d})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-number, "")
