"""A project of its own with a folder of images, on which tests run the real commands of the stages."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import hashlib
import io
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from data.errors import UserError
from flows.cli.data import app
from flows.stages import fork_server

ROOT = Path(__file__).resolve().parents[1]


def photo(seed: int, height: int = 40, width: int = 48, channels: int = 3) -> Image.Image:
    """Draw a smooth colour picture, different for each seed: blobs, so that perceptual hashes differ."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 7, channels)).astype(np.uint8)
    return Image.fromarray(coarse.squeeze()).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, form: str = "PNG", **options) -> bytes:
    """Return the bytes of an image file."""
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def fill(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), per_class: int = 12) -> None:
    """Write class folders of images of mixed formats and sizes."""
    seed = 0
    for name in classes:
        for index in range(per_class):
            seed += 1
            form, ending = (("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"))[index % 3]
            image = photo(seed, 40 + index, 48 + 2 * index)
            write(folder / name / f"{index:02d}.{ending}", encode(image, form))


def project(folder: Path) -> Path:
    """Make an empty project in ``folder``: the files that commands look for, without a data set."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text("datasets: {}\nmodels: {}\n")
    (folder / "dvc.yaml").write_text("stages: {}\n")
    (folder / "data").mkdir()
    return folder


def command(root: Path, *arguments: str, expect: int = 0, preexec=None) -> subprocess.CompletedProcess:
    """Run ``python`` with ``arguments`` in the project ``root`` and demand its exit status.

    A stage is a copy of a process that has its libraries loaded, as in a run, unless it begins with ``preexec``.
    """
    python = [sys.executable, "-P"] if preexec or arguments[0] != "-m" else [_forking_python()]
    done = subprocess.run(
        [*python, *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        preexec_fn=preexec,
    )
    _check(done, arguments, expect)
    return done


@cache
def _forking_python() -> Path:
    """Start fork servers for the stages that need no PyTorch; they end with this process."""
    servers = ExitStack()
    atexit.register(servers.close)
    folder = Path(servers.enter_context(tempfile.TemporaryDirectory()))
    stages = [SimpleNamespace(command=f"python -m components.{kind} x") for kind in ("ingest", "validate")]
    servers.enter_context(fork_server.serve(folder, stages))
    return fork_server.programs() / "python"


def darkroom_data(root: Path, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess:
    """Run ``darkroom data ...`` in the project ``root`` and demand its exit status."""
    with contextlib.chdir(root):
        done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    mistake = isinstance(done.exception, UserError)
    said = f"error: {done.exception}" if mistake else done.stderr
    told = subprocess.CompletedProcess(arguments, 2 if mistake else done.exit_code, done.stdout, said)
    _check(told, arguments, expect)
    return told


def _check(done: subprocess.CompletedProcess, arguments: tuple[str, ...], expect: int) -> None:
    assert done.returncode == expect, (
        f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    assert "Traceback" not in done.stderr, done.stderr


def digest(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Return hash, mode and modification time of everything in a folder: what no command may change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (content, status.st_mode, status.st_mtime_ns)
    return found


def without_root_rights() -> None:
    """Give up, in a child process before it runs a program, root's right to read what its mode forbids."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # Fails for who is not root, and has no such right.


_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2
