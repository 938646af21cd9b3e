"""A stage of the toy pipeline: real outs, made in a moment. ``python -m tests.flows.toy_stage <stage> <name>``.

``ran.log`` tells which commands began and which were done; a file ``sleep-<stage>@<name>`` makes one wait until
it is gone, or to be killed, ``fail-...`` makes it fail with the file's text. They lie in the toy project, wherever
the stage itself runs.

A training takes three steps, each noted in ``steps.log`` as ``<name> <step>``. Before the third it waits for
``wait-<name>`` to be gone, with a resume point written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

from components.project import layout
from data import atomic

PROJECT = Path(os.environ.get("DARKROOM_TEST", ""))
"""Where the files are by which a test talks with stages."""

MADE = Path("made")
"""Folder of the outs of ``validate`` and ``prepare``, which are the same in every project."""


def main(stage: str, name: str) -> None:
    step = f"{stage}@{name}"
    _note(f"began {step}")
    fail, sleep = PROJECT / f"fail-{step}", PROJECT / f"sleep-{step}"
    if fail.exists():
        print(fail.read_text(), file=sys.stderr)
        sys.exit(2)
    give_up = time.monotonic() + 300
    while sleep.exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    {
        "ingest": lambda: atomic.write_bytes(layout.ingested(name) / "manifest/part.parquet", b"a manifest"),
        "validate": lambda: _take(layout.validation_file(name)),
        "prepare": lambda: _take(layout.prepared(name)),
        "labels": lambda: atomic.write_text(layout.label_errors(name) / "summary.json", "{}"),
        "train": lambda: _train(name),
        "evaluate": lambda: _evaluate(name),
        "export": lambda: _export(name),
    }[stage]()
    _note(f"done {step}")


def _train(name: str) -> None:
    weights = b"weights"
    point = layout.resume(name) / "key/point.safetensors"
    done = int(point.read_text()) if point.exists() else 0
    for step in range(done + 1, 4):
        while step == 3 and (PROJECT / f"wait-{name}").exists():
            time.sleep(0.05)
        with (PROJECT / "steps.log").open("a") as log:
            log.write(f"{name} {step}\n")
        atomic.write_text(point, str(step))
    with atomic.folder(layout.trained(name)) as folder:
        (folder / "history.csv").write_text("step,loss,val_accuracy\n1,0.9,\n2,0.5,0.8\n")
        (folder / "model.safetensors").write_bytes(weights)
    machine = {"processor": os.environ.get("PROCESSOR", "a processor"), "device": "cpu"}
    machine |= {"seconds": 1.0, "images_per_second": 60.0}
    atomic.write_json(layout.timing(name), machine | {"weights_sha256": hashlib.sha256(weights).hexdigest()})
    shutil.rmtree(layout.resume(name))


def _evaluate(name: str) -> None:
    _export(name)
    shutil.rmtree(layout.bundle(name))


def _export(name: str) -> None:
    from tests.components import workspace  # which imports ONNX: most stages do without

    workspace.export(name, noise=_noise(name))


def _take(out: Path) -> None:
    made = MADE / out
    if made.is_dir():
        shutil.copytree(made, out, dirs_exist_ok=True)
    else:
        atomic.write_bytes(out, made.read_bytes())


def _noise(name: str) -> float:
    """Return how bad the model is to be: more than its file says where the machine has bad luck."""
    return float(Path(f"noise-{name}").read_text()) + float(os.environ.get("BAD_LUCK", "0"))


def _note(line: str) -> None:
    with (PROJECT / "ran.log").open("a") as log:
        log.write(f"{line}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
