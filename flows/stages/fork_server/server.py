"""``python -m flows.stages.fork_server.server NAME FILE``: loads libraries, then forks itself for each request.

``NAME`` says which libraries; ``FILE`` is the number of the open socket to listen on.

A fork copies neither threads nor a CUDA context. So PyTorch computes on one thread here, and on as many as it likes in
a copy; and no stage on a GPU becomes one.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module, invalidate_caches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from flows.stages.fork_server.client import DVC, LENGTH, STATUS

_PATIENCE = 10.0
_PROJECT = ("flows", "components", "models", "data")
_PR_SET_PDEATHSIG = 1
_DVC_LATE = (
    *(
        "dvc.parsing.interpolate",
        "pyparsing",
        "dvc.repo.reproduce",
        "dvc.repo.stage",
        "dvc.repo.open_repo",
        "dvc.rwlock",
    ),
    *(
        "dvc.stage.cache",
        "dvc.stage.serialize",
        "dvc.utils.strictyaml",
        "ruamel.yaml",
        "psutil",
        "zc.lockfile",
    ),
    *("dvc.cachemgr", "dvc.data_cloud", "dvc.dirs", "dvc.lock", "dvc.scm", "configobj", "flufl.lock"),
    *("dvc.repo.artifacts", "dvc.repo.datasets", "dvc.repo.metrics", "dvc.repo.params", "dvc.repo.plots"),
    *("dulwich.ignore", "dulwich.index", "dulwich.trailers", "dulwich.worktree", "scmrepo.git"),
    *("dvc_data.hashfile.db.local", "dvc_data.hashfile.status", "fsspec.implementations.memory"),
)
"""What DVC imports only when it reproduces a stage."""
_LEARNING = (
    *("torch._dynamo", "torch.export._patches", "safetensors.numpy", "safetensors.torch", "onnx"),
    *("scipy.special", "sympy.combinatorics.permutations", "sympy.tensor.tensor"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "pyarrow.dataset", "pyarrow.pandas_compat"),
)
"""What judge, train, evaluate and export use of libraries. Not onnxruntime, which starts a thread when it is imported,
which takes no time."""


@dataclass(frozen=True)
class Request:
    """What a copy shall become: ``python -m *arguments``, in a folder, with an environment and three open files."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    files: list[int]

    @classmethod
    def receive(cls, client: socket.socket) -> Request:
        """Read the request of ``client``.

        Raises:
            OSError, EOFError: it went away or did not finish its request.
        """
        client.settimeout(_PATIENCE)
        head, files, _, _ = socket.recv_fds(client, LENGTH.size, 3, socket.MSG_WAITALL)
        if len(head) < LENGTH.size or len(files) < 3:
            raise EOFError
        (length,) = LENGTH.unpack(head)
        message = b""
        while len(message) < length:
            more = client.recv(length - len(message))
            if not more:
                raise EOFError
            message += more
        client.settimeout(None)
        return cls(**json.loads(message), files=files)

    def become(self) -> NoReturn:
        """Make this process the one that was asked for, run its module as ``__main__``, and end as Python would.

        All but taking down the interpreter, which takes 2 s after all that was loaded.
        """
        for target, file in enumerate(self.files):
            os.dup2(file, target)
            os.close(file)
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        sys.argv, sys.path[0] = self.arguments, self.folder
        for name in [name for name in sys.modules if name.partition(".")[0] in _PROJECT]:
            del sys.modules[name]  # what this server runs on itself: it may have been edited since
        invalidate_caches()
        try:
            runpy.run_module(self.arguments[0], run_name="__main__", alter_sys=True)
            status = 0
        except SystemExit as ended:
            status = _status(ended.code)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
            status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        if status < 0:
            signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        os._exit(status)


def _status(code: object) -> int:
    """Return what ``sys.exit(code)`` ends with."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


class Server:
    """Listens, forks, passes signals on, and answers each client with the status its copy ended with."""

    def __init__(self, listener: socket.socket) -> None:
        """Serve who connects to ``listener``."""
        self._pid = os.getpid()
        self._listener = listener
        self._clients: dict[int, socket.socket] = {}
        waking, self._woken = socket.socketpair()
        waking.setblocking(False)
        self._woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        self._waking = waking
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)
        self._selector.register(sys.stdin, selectors.EVENT_READ, sys.exit)  # who started this is gone

    def serve(self, preloads: Sequence[Callable[[], object]]) -> Request:
        """Do each of ``preloads``, and serve in between and ever after.

        Returns:
            In a copy only: what it shall become.
        """
        for preload in preloads:
            preload()
            while ready := self._selector.select(0):
                if request := self._handle(ready):
                    return request
        while True:
            if request := self._handle(self._selector.select()):
                return request

    def _handle(self, ready: list) -> Request | None:
        for key, _ in ready:
            if request := key.data():
                return request
        return None

    def _accept(self) -> Request | None:
        client, _ = self._listener.accept()
        try:
            request = Request.receive(client)
        except (OSError, EOFError):
            client.close()
            return None
        pid = os.fork()
        if pid == 0:
            client.close()
            self._leave(alone=request.arguments[0] == DVC)
            return request
        for file in request.files:
            os.close(file)
        self._clients[pid] = client
        self._selector.register(client, selectors.EVENT_READ, lambda: self._pass_on(pid))
        return None

    def _leave(self, alone: bool) -> None:
        """In a copy: drop what belongs to the server, and, unless it shall end ``alone``, die with it.

        DVC must not be killed while it writes; it ends when its command does, which is a copy as well.
        """
        os.setsid()
        if not alone:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self._pid:
                os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for open_socket in (self._listener, self._woken, self._waking, *self._clients.values()):
            open_socket.close()

    def _pass_on(self, pid: int) -> None:
        """Send the copy ``pid`` the signals that its client got; a client that died takes its copy's group along."""
        numbers = self._clients[pid].recv(16)
        for number in numbers:
            os.kill(pid, number)
        if not numbers:
            with suppress(ProcessLookupError):  # it was just forked and has no group yet
                os.killpg(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
            self._forget(pid).close()

    def _reap(self) -> None:
        self._woken.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if client := self._forget(pid):
                with client, suppress(OSError):  # it may have died at the same moment
                    client.sendall(STATUS.pack(os.waitstatus_to_exitcode(status)))

    def _forget(self, pid: int) -> socket.socket | None:
        client = self._clients.pop(pid, None)
        if client is not None:
            self._selector.unregister(client)
        return client


def _dvc() -> None:
    from dvc.cli.parser import get_main_parser

    get_main_parser()
    for name in _DVC_LATE:
        import_module(name)


def _project() -> None:
    """Parse what every stage parses first. Whoever finds another text there parses that."""
    from dvc.exceptions import DvcException
    from dvc.parsing.interpolate import get_parser
    from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA
    from dvc.utils import strictyaml
    from dvc.utils.serialize import load_yaml

    from flows.stages import read_once

    read_once.parse_once()
    get_parser().parse_string("item.name")
    with suppress(DvcException, OSError):  # the stage itself tells what is wrong
        strictyaml.load("dvc.yaml", COMPILED_MULTI_STAGE_SCHEMA)
        load_yaml("params.yaml")


def _tables() -> None:
    for name in ("pandas", "pyarrow.parquet", "PIL.Image", "yaml", "pydantic.functional_serializers"):
        import_module(name)
    import_module("pydantic").create_model(
        "Settings", number=(int, 0)
    )  # most of it is imported by the first model


def _expectations() -> None:
    import_module("components.validation.gx")  # not all of it, which takes twice as long


def _torch() -> None:
    import torch

    os.register_at_fork(after_in_child=partial(torch.set_num_threads, torch.get_num_threads()))
    torch.set_num_threads(1)


def _libraries() -> None:
    for name in _LEARNING:
        import_module(name)


def _pictures() -> None:
    """Draw a figure: which file has a font, and how a formula is laid out, is found out by that."""
    from components.pictures import style

    with TemporaryDirectory() as folder, style.figure(Path(folder) / "drawn.png", 2, 2) as figure:
        figure.subplots().set(title="drawn", xlabel="$10^0$")


def _exporter() -> None:
    """Export a layer, one without random weights: what is loaded by that is the exporter's own affair."""
    import torch
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    from components.bundles.onnx_export import OPSET

    # PyTorch reads the source of its 500 conversions anew for each export. A copy exports one model, and changes none.
    ONNXRegistry.from_torchlib = staticmethod(cache(ONNXRegistry.from_torchlib))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zeros = (torch.zeros(2, 1),)
        torch.onnx.export(torch.nn.ReLU(), zeros, opset_version=OPSET, dynamo=True, verbose=False)


PRELOADS = {
    "data": (_dvc, _project, _tables),
    "expectations": (_tables, _expectations),
    "learning": (_torch, _tables, _libraries, _pictures, _exporter),
}
"""What each server loads, in pieces, so that a request never waits long for what it may not need."""


if __name__ == "__main__":
    Server(socket.socket(fileno=int(sys.argv[2]))).serve(PRELOADS[sys.argv[1]]).become()
