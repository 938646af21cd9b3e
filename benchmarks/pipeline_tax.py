"""What the pipeline costs beside the work itself, and what a run with nothing to do costs beside ``dvc repro``.

    python -m benchmarks.pipeline_tax [--families logreg gmm cnn vae gan] [--models 40] [--most 100] [--repeat 5]
        [--of CHECKOUT]

Everything is measured in one run on clones of the last commit of a checkout, by default of this one, in a temporary
folder:

* the whole pipeline (``darkroom run``, quick models of ``--families`` on digits, whose work alone should take about a
  minute) against the same stage functions called one after another in a single bare process, wall time and peak memory
  of all processes together; none where ``--families`` is followed by nothing;
* the same for as many models of logistic regression as ``--models`` says;
* a run with nothing changed, by ``darkroom run`` and by ``dvc repro`` in turns, with these models, and with ``--most``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import yaml

from benchmarks.command import described, show

ROOT = Path(__file__).resolve().parent.parent

BARE = """
import sys, time
from components import evaluate, export, gate, ingest, judge, prepare, register, train, validate
from components.project import params
started = time.monotonic()
for dataset in params.load().datasets:
    for stage in (ingest, validate, prepare):
        stage.run(dataset)
for dataset in params.load().judges:
    judge.run(dataset)
for model in params.load().all_models:
    for stage in (train, evaluate, export, register, gate):
        stage.run(model)
"""


def main() -> None:
    """Measure, and print a table and JSON."""
    parser = described(__doc__)
    parser.add_argument("--families", nargs="*", default=FAMILIES)
    parser.add_argument("--models", type=int, default=40, help="models of logistic regression from nothing")
    parser.add_argument("--most", type=int, default=100, help="models of the largest run with nothing to do")
    parser.add_argument("--repeat", type=int, default=5, help="no-op runs of each kind")
    parser.add_argument("--of", type=Path, default=ROOT, help="the checkout that is measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as folder:
        results = measure(Path(folder), arguments)
    show(results)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return every figure: seconds, MiB and ratios, by name."""
    results = {}
    if options.families:
        few = {name: {"family": name} for name in options.families}
        flow, results = from_nothing(options.of, folder / "few", few)
        results |= nothing_to_do(flow, len(few), options.repeat)
    flow, figures = from_nothing(options.of, folder / "many", logistic(options.models))
    for name, value in figures.items():
        what, comma, unit = name.partition(",")
        results[f"{what} of {options.models} models{comma}{unit}"] = value
    results |= nothing_to_do(flow, options.models, options.repeat)
    if options.most > options.models:
        put_models(flow, logistic(options.most))
        timed(DARKROOM, flow)
        results |= nothing_to_do(flow, options.most, options.repeat)
    return results


def logistic(count: int) -> dict[str, dict]:
    """Return that many models of logistic regression, which differ by their seed."""
    return {f"logreg-{seed}": {"family": "logreg", "seed": seed} for seed in range(count)}


def from_nothing(checkout: Path, folder: Path, models: dict[str, dict]) -> tuple[Path, dict[str, float]]:
    """Make ``models`` in one bare process, then by ``darkroom run``; return the folder of that, and the figures."""
    bare, flow = (clone(checkout, folder.with_name(f"{folder.name}-{kind}")) for kind in ("bare", "flow"))
    for project in (bare, flow):
        put_models(project, models)
    bare_s, bare_mib = timed([sys.executable, "-c", BARE], bare)
    flow_s, flow_mib = timed(DARKROOM, flow)
    figures = {"bare, s": bare_s, "pipeline, s": flow_s, "pipeline / bare": flow_s / bare_s}
    return flow, figures | {"bare, peak MiB": bare_mib, "pipeline, peak MiB": flow_mib}


def put_models(project: Path, models: dict[str, dict]) -> None:
    """Make ``models``, on digits, those of the project, each with a threshold that it reaches."""
    file = project / "params.yaml"
    models = {name: {"dataset": "digits"} | entry for name, entry in models.items()}
    few_bits, all_classes = {"bits_per_dim": {"at_most": 8.0}}, {"classes_covered": {"at_least": 10}}
    thresholds = {"gmm": few_bits, "vae": few_bits, "gan": all_classes, "ddpm": all_classes}
    judged = {name: entry for name, entry in models.items() if entry["family"] in ("vae", "gan", "ddpm")}
    others = {name: entry for name, entry in models.items() if name not in judged}
    sections = {"generators": judged, "models": others, "fine_tuned": {}, "catalog": {}}
    settings = yaml.safe_load(file.read_text()) | sections | {"judges": ["digits"] if judged else []}
    settings["datasets"] = {"digits": settings["datasets"]["digits"]}
    settings["gate"] = {
        name: {"thresholds": thresholds.get(entry["family"], {"accuracy": {"at_least": 0.8}})}
        for name, entry in models.items()
    }
    file.write_text(yaml.safe_dump(settings))


def nothing_to_do(project: Path, models: int, repeat: int) -> dict[str, float]:
    """Time ``darkroom run`` and ``dvc repro`` in turns where nothing changed; one warm-up each."""
    pairs = [(timed(DARKROOM, project)[0], timed(DVC, project)[0]) for _ in range(repeat + 1)][1:]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    told = f"{models} models, nothing to do"
    return {f"{told}: darkroom run, s": ours, f"{told}: dvc repro, s": theirs, f"{told}: ratio": ratio}


FAMILIES = ["logreg", "gmm", "cnn", "vae", "gan"]
DARKROOM = [sys.executable, "-m", "flows", "run"]
DVC = [sys.executable, "-m", "dvc", "repro", "-q"]


def clone(checkout: Path, folder: Path) -> Path:
    """Return a fresh clone of a checkout, set up as ``make`` does it, with a DVC remote of its own."""
    subprocess.run(["git", "clone", "-q", checkout, folder], check=True)
    remote = folder.with_name(f"{folder.name}-remote")
    (folder / ".dvc/config.local").write_text(f"['remote \"local\"']\n    url = {remote}\n")
    subprocess.run(
        [sys.executable, "-m", "flows.workspace.embedded_stores"], cwd=folder, check=True, capture_output=True
    )
    return folder


def timed(command: list[str], project: Path) -> tuple[float, float]:
    """Run ``command`` in ``project``; return wall seconds and the peak MiB of its whole process tree."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    peak = _Peak(process.pid)
    printed, _ = process.communicate()
    seconds = time.monotonic() - started
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{printed.decode()[-3000:]}")
    return seconds, peak.stop()


class _Peak:
    """Samples the memory of a process and its descendants: proportional set size, so shared pages count once."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return self._most / 2**20

    def _sample(self) -> None:
        while not self._over.wait(0.5):
            total = 0
            try:
                for process in [self._process, *self._process.children(recursive=True)]:
                    total += process.memory_full_info().pss
            except psutil.Error:
                continue
            self._most = max(self._most, total)


if __name__ == "__main__":
    main()
