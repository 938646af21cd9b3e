"""What ingest, validate and prepare cost from nothing and after a night's new images, beside another build of Darkroom.

    python -m benchmarks.nightly [--images 20000] [--new 0.01] [--size 64] [--other CHECKOUT]

Small JPEG files are written to a temporary folder, and the stages run as processes of their own, as DVC runs them. With
``--other``, a checkout with a ``.venv`` of its own, each stage runs by both builds in turns. A stage's time is given by
the clock and as the seconds of processors that it used, which other work on the machine moves less; its memory is the
peak of the process. What DVC's cache grows by is the bytes of outs that it does not have yet.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.command import described, show
from data.sources.listing import fingerprint, scan

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("ingest", "validate", "prepare")
OUTS = ("ingest", "prepared")

DATASET = """\
source: imagefolder
folder: {folder}
listing: {listing}
image: {{height: {size}, width: {size}, channels: 3, levels: 256}}
splits: {{validation: 0.1, test: 0.1}}
"""
SUITE = "general: {{near_duplicates: {{distance: 4, allowed: {count}}}}}\n"


class Project:
    """A project folder on which the stages of one build are run."""

    def __init__(self, folder: Path, build: Path, photos: Path, size: int) -> None:
        """Begin in ``folder``, which is made."""
        self.folder, self._build, self._photos, self._size = folder, build, photos, size
        (folder / "data/mine").mkdir(parents=True)
        for name in ("params.yaml", "dvc.yaml"):
            (folder / name).write_bytes((build / name).read_bytes())

    def listed(self) -> None:
        """Note the photographs as they are now in ``dataset.yaml``."""
        entries = scan(self._photos)
        listing = fingerprint(entries)
        settings = DATASET.format(folder=self._photos, listing=listing, size=self._size)
        (self.folder / "data/mine/dataset.yaml").write_text(settings)
        (self.folder / "data/mine/suite.yaml").write_text(SUITE.format(count=len(entries)))

    def run(self, stage: str) -> dict[str, float]:
        """Run one stage; return seconds by the clock, seconds of processors, and peak memory in MiB."""
        python = self._build / ".venv/bin/python"
        environment = os.environ | {"PYTHONPATH": str(self._build)}
        began = time.monotonic()
        process = subprocess.Popen(
            [python, "-P", "-m", f"components.{stage}", "mine"], cwd=self.folder, env=environment
        )
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{self._build}: {stage} failed")
        return {
            "seconds": time.monotonic() - began,
            "processor": used.ru_utime + used.ru_stime,
            "MiB": used.ru_maxrss / 1024,
        }

    def contents(self, out: str) -> dict[str, int]:
        """Return the size in bytes of each content of an out, by its hash."""
        return {
            hashlib.sha256(file.read_bytes()).hexdigest(): file.stat().st_size
            for file in (self.folder / "artifacts/data/mine" / out).rglob("*")
            if file.is_file()
        }


def main() -> None:
    """Measure, and print a table and JSON."""
    parser = described(__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--new", type=float, default=0.01, help="share of the images that one night brings")
    parser.add_argument("--size", type=int, default=64, help="sides of the images, in pixels")
    parser.add_argument("--other", type=Path, help="a checkout of another build, with a .venv")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as folder:
        results = measure(Path(folder), arguments)
    show(results)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Return every figure by its name."""
    photos, size = folder / "photos", arguments.size
    draw(photos, range(arguments.images), size)
    builds = {"new": ROOT} | ({"other": arguments.other.resolve()} if arguments.other else {})
    projects = {name: Project(folder / name, build, photos, size) for name, build in builds.items()}
    for project in projects.values():
        project.listed()
    results: dict[str, float] = {}
    for stage in STAGES:
        for name, project in projects.items():
            results |= _named(f"{name}, {stage}", project.run(stage))
    before = {out: projects["new"].contents(out) for out in OUTS}
    draw(photos, range(arguments.images, round(arguments.images * (1 + arguments.new))), size)
    time.sleep(3)  # Files of the last two seconds are not trusted: a night is longer.
    projects["new"].listed()
    for stage in STAGES:
        results |= _named(f"night, {stage}", projects["new"].run(stage))
    for out in OUTS:
        size, grown = sum(before[out].values()), 0
        for content, count in projects["new"].contents(out).items():
            grown += count if content not in before[out] else 0
        results |= {f"cache, {out}, MB": size / 1e6, f"cache, {out}, growth": grown / size}
    for what in ("seconds", "processor"):
        totals = {
            name: sum(results[f"{name}, {stage}, {what}"] for stage in STAGES)
            for name in (*projects, "night")
        }
        results |= {f"{name}, all, {what}": total for name, total in totals.items()}
        results[f"night / new, all, {what}"] = totals["night"] / totals["new"]
        if "other" in totals:
            results[f"other / new, all, {what}"] = totals["other"] / totals["new"]
    return results


def draw(folder: Path, numbers: range, size: int) -> None:
    """Write a JPEG file for each number, in ten classes; each is a second younger than the one before."""
    for number in numbers:
        coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3)).astype(np.uint8)
        picture = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        path = folder / f"class{number % 10}" / f"{number:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, "JPEG", quality=75)
        os.utime(path, (1_700_000_000 + number,) * 2)


def _named(name: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"{name}, {what}": value for what, value in figures.items()}


if __name__ == "__main__":
    main()
