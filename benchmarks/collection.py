"""What ``darkroom gc`` takes with many versions.

    python -m benchmarks.collection [--versions 1000] [--kept 10]

In a clone of this project's last commit in a temporary folder, that many versions of one model are written to the
embedded registry, each with artifacts of 17 files, a ``dvc.lock`` of every stage of ``dvc.yaml``, and 11 objects of its
own in DVC's cache. Then ``darkroom gc --dry-run`` and ``darkroom gc`` run as processes of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
NAME = "digits-cnn"
OUTS = {
    f"artifacts/models/{NAME}/train": 4,
    f"artifacts/models/{NAME}/evaluate": 2,
    f"artifacts/bundles/{NAME}": 2,
}
"""The outs of the model, and how many files each has."""
FILE_BYTES = 20_000


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--kept", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        subprocess.run(["git", "clone", "-q", "--shared", ROOT, folder], check=True)
        with chdir(folder):
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            settings = yaml.safe_load(Path("params.yaml").read_text())
            settings["gc"] = {"keep_versions": arguments.kept, "keep_days": 0}
            Path("params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
            began = time.monotonic()
            _fill(arguments.versions, settings)
            print(f"{arguments.versions} versions written in {time.monotonic() - began:.0f} s", flush=True)
            for option in (["--dry-run"], []):
                print(_timed(["-m", "flows", "gc", *option]), flush=True)


def _fill(count: int, settings: dict) -> None:
    from components.registry import mlflow_store

    chance, client = random.Random(0), mlflow_store.client()
    experiment = mlflow_store.experiment(f"darkroom/{NAME}")
    client.create_registered_model(NAME)
    template = _lock(dict(_stages(settings)))
    for number in range(1, count + 1):
        outs = {path: _folder_object(chance, files) for path, files in OUTS.items()}
        lock = template
        for path, name in outs.items():
            lock = lock.replace(_hash(path), name)
        sha256 = hashlib.sha256(f"{number}".encode()).hexdigest()
        tags = {
            "bundle_sha256": sha256,
            "dvc_lock_sha256": hashlib.sha256(lock.encode()).hexdigest(),
            "bundle_dvc_md5": outs[f"artifacts/bundles/{NAME}"],
        }
        run = client.create_run(experiment, tags={**tags, "darkroom.key": f"{NAME}:{sha256}"})
        place = Path(run.info.artifact_uri)
        for file in range(14):
            _write(place / f"evaluate/plots/{file}.png", chance.randbytes(FILE_BYTES))
        _write(place / "model/bundle/bundle.json", b"{}")
        _write(place / "source/params.yaml", b"{}")
        _write(place / "source/dvc.lock", lock.encode())
        client.set_terminated(run.info.run_id)
        client.create_model_version(NAME, f"{place}/model", run.info.run_id, tags=tags)
    client.set_registered_model_alias(NAME, "champion", str(count))
    Path("dvc.lock").write_text(lock)


def _stages(settings: dict) -> Iterator[tuple[str, dict]]:
    """Yield every stage of ``dvc.yaml`` with its deps and outs."""
    for group, stage in yaml.safe_load(Path("dvc.yaml").read_text())["stages"].items():
        for item in settings.get(stage["foreach"].strip("${}"), ()):
            names = {"${key}": item, "${item}": item}
            paths = {
                key: [_filled(one, names) for one in stage["do"].get(key, ())] for key in ("deps", "outs")
            }
            yield f"{group}@{item}", paths


def _filled(entry: str | dict, names: dict[str, str]) -> str:
    path = entry if isinstance(entry, str) else next(iter(entry))
    for name, value in names.items():
        path = path.replace(name, value)
    return path


def _lock(stages: dict[str, dict]) -> str:
    """Return a ``dvc.lock`` of ``stages`` as DVC writes it, with hashes that nothing has."""

    def entry(path: str) -> dict:
        return {"path": path, "hash": "md5", "md5": _hash(path), "size": 1}

    locked = {
        name: {"cmd": "c", **{key: [entry(path) for path in paths[key]] for key in ("deps", "outs")}}
        for name, paths in stages.items()
    }
    return yaml.dump({"schema": "2.0", "stages": locked}, sort_keys=False, Dumper=yaml.CSafeDumper)


def _hash(path: str) -> str:
    return hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()


def _folder_object(chance: random.Random, files: int) -> str:
    """Write a folder's objects to DVC's cache and return its name."""
    listed = [{"md5": _object(chance.randbytes(FILE_BYTES)), "relpath": f"{k}"} for k in range(files)]
    return _object(json.dumps(listed).encode(), ".dir")


def _object(content: bytes, kind: str = "") -> str:
    name = hashlib.md5(content, usedforsecurity=False).hexdigest() + kind
    _write(Path(".dvc/cache/files/md5") / name[:2] / name[2:], content)
    return name


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _timed(words: list[str]) -> str:
    began, before = time.monotonic(), os.times()
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    last = (done.stdout + done.stderr).strip().splitlines()[-1:]
    return f"{' '.join(words[1:])}: {time.monotonic() - began:.1f} s, {used:.1f} s of processors; {last}"


if __name__ == "__main__":
    main()
