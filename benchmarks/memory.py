"""Memory and processor time of each family at large pictures: ``python -m benchmarks.memory``.

``[--families cnn vit ...] [--sides 64 128 224] [--limit GIB] [--json FILE]``

For each family and side it writes prepared data of the family's task (``benchmarks/memory_data.py``), and runs the
stages by the quick preset, each in a process of its own. Networks, batches and what is computed on together are the
preset's; what only takes longer is shortened: one epoch, of few pictures, two steps of a sampler, one request for
samples (:func:`shorten`). The peak is the largest resident set of a stage's process, with all that the stages import
and the pages of files that are mapped. A process that exceeds the limit is ended, which the table shows.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import yaml

import models
from benchmarks import memory_data
from benchmarks.command import described, keep
from components import evaluate, export, judge, train
from components.judging import augmentation, network
from components.tasks import generation, text_to_image
from data import at_once
from data.kinds import KINDS
from data.prepared import PreparedData
from models.ddpm import fill_in
from models.registry import FAMILIES

ROOT = Path(__file__).parents[1]
STAGES = {"judge": judge.run, "train": train.run, "evaluate": evaluate.run, "export": export.run}
SHORT = {
    "epochs": 1,
    "source_epochs": 1,
    "autoencoder_epochs": 1,
    "steps": 2,
    "iterations": 3,
    "prior_images": 40,
    "plain_images": 10,
    "personal_steps": 2,
}
"""Put in place of a preset's values where a family has the setting: how long, not how large."""


def main() -> None:
    """Measure, print a row each, and write them as JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--sides", nargs="+", type=int, default=[64, 128, 224])
    parser.add_argument("--limit", type=float, default=6.0, help="GiB of one process")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    for side in options.sides:
        for family in options.families:
            row = measure(family, side, options.limit)
            rows = [one for one in rows if (one["family"], one["side"]) != (family, side)] + [row]
            print(
                f"{family:16}{side:4}  " + "  ".join(f"{name} {row[name]}" for name in [*row][2:]), flush=True
            )
            keep(rows, options.json)


def measure(family: str, side: int, limit: float) -> dict:
    """Return for each stage its peak in GiB and its processor seconds, or how it ended."""
    row = {"family": family, "side": side}
    with tempfile.TemporaryDirectory() as folder:
        kind, named = _plan(family)
        _write_settings(Path(folder), family)
        write = lambda: memory_data.write(Path(folder, "artifacts/data/d/prepared"), "d", kind, side)  # noqa: E731
        if "error" in (found := _watch(write, limit)):
            raise RuntimeError(found["error"])
        for stage, name in named:
            found = _watch(lambda stage=stage, name=name: _run(stage, name, folder), limit)
            row[stage if name == "m" else f"{stage} {name}"] = found
            if "error" in found:
                break
    return row


def _plan(family: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what kind of data the family needs, and the stages with what each is run on."""
    task, has_base = models.family(family).TASK, hasattr(models.family(family), "BASE")
    kinds = [name for name, kind in KINDS.items() if task in kind.tasks + kind.mask_tasks]
    kind = kinds[-1]  # the least particular: labelled images where they will do
    judged = task in ("generation", "text_to_image", "controlled_generation")
    before = ([("judge", "d")] if judged else []) + ([("train", "b")] if has_base else [])
    return kind, before + [(stage, "m") for stage in ("train", "evaluate", "export")]


def _write_settings(folder: Path, family: str) -> None:
    shutil.copytree(ROOT / "models", folder / "models", ignore=lambda *_: ["__pycache__"])
    (folder / "data/d").mkdir(parents=True)
    (folder / "data/d/dataset.yaml").write_text("")
    module = models.family(family)
    params = {"datasets": {"d": "data/d/dataset.yaml"}, "models": {"m": _entry(family, module)}}
    if hasattr(module, "BASE"):
        params["fine_tuned"] = {"m": params["models"].pop("m") | {"base": "b"}}
        params["models"]["b"] = _entry(module.BASE, models.family(module.BASE))
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def _entry(family: str, module: ModuleType) -> dict:
    short = {key: value for key, value in SHORT.items() if key in module.Config.model_fields}
    return {"family": family, "dataset": "d", "preset": "quick", "device": "cpu", "overrides": short}


def _run(stage: str, name: str, folder: str) -> None:
    os.chdir(folder)
    shorten(PreparedData(Path("artifacts/data/d/prepared")).spec.shape)
    STAGES[stage](name)


def shorten(shape: tuple[int, int, int]) -> None:
    """Have the stages do once what they do many times over; what is computed on together stays as it is."""
    network.RECIPE = network.RECIPE.model_copy(update={"epochs": 1, "least_steps": 2})
    augmentation.RECIPE = augmentation.RECIPE.model_copy(update={"epochs": 1, "least_steps": 2})
    generation.SEEDS, generation.COUNT = (0,), at_once.pictures(shape, generation.COUNT)
    text_to_image.CAPTIONS, text_to_image.SEEDS = at_once.pictures(shape, text_to_image.BATCH), 1
    fill_in.STEPS = 1


def _watch(work: Callable[[], object], limit: float) -> dict:
    """Do ``work`` in a process, end it when it exceeds ``limit`` GiB, and return what it took."""
    with tempfile.TemporaryFile("w+") as said:
        pid = os.fork()
        if not pid:
            _be(work, said.fileno())
        peak, gone = 0.0, 0
        while not gone:
            peak = max(peak, _peak(pid))
            if peak > limit:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.03)
            gone, status, usage = os.wait4(pid, os.WNOHANG)
        said.seek(0)
        lines = said.read().strip().splitlines()
    found = {"gib": round(peak, 2), "seconds": round(usage.ru_utime + usage.ru_stime, 1)}
    if peak > limit:
        return found | {"error": f"more than {limit} GiB"}
    return found | ({"error": (lines or [f"status {status}"])[-1]} if status else {})


def _be(work: Callable[[], object], output: int) -> None:
    """Be the process: do the work and end."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        work()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


def _peak(pid: int) -> float:
    """Return the most that a process had in memory so far, in GiB; 0 when it is gone.

    Its ``ru_maxrss`` will not do: a process inherits that of the one that started it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(line.split()[1]) / 2**20


if __name__ == "__main__":
    main()
