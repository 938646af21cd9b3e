"""Writes the champions as a model repository of NVIDIA Triton, for where one machine is too small.

    FOLDER/digits-cnn/config.pbtxt     the champion's version, its tensors, how it is batched
    FOLDER/digits-cnn/labels.txt       the classes, by line, so that Triton's classification extension names them
    FOLDER/digits-cnn/3/model.onnx     the version, by its number in the registry

A server may be reading the folder (``--model-control-mode=poll``): a version appears whole, and ``config.pbtxt``, which
names the version that is served, moves after it in one step. Versions that were served before stay, so that a rollback
moves ``config.pbtxt`` alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.bundles import triton_config
from components.bundles.bundle import MODEL
from components.bundles.triton_config import LABELS
from components.project.sections import ServePolicy
from components.registry import versions
from components.registry.versions import Version
from data import atomic
from data.errors import UserError, nearest


@dataclass(frozen=True)
class Exported:
    """One champion in the repository; ``written`` is false where it was there already."""

    name: str
    version: int
    bundle_sha256: str
    written: bool


def run(
    folder: Path, names: Collection[str] = (), bounds: Mapping[str, ServePolicy] | None = None
) -> list[Exported]:
    """Bring the Triton model repository in ``folder`` up to date with the champions of ``names``, or of all models.

    ``bounds`` are those of ``serve:`` in ``params.yaml``: how many rows are batched, and whether any are.

    Raises:
        UserError: a model is not registered or has no champion, its bundle is not whole, or ``folder`` holds something
            else under its name.
    """
    known = versions.snapshot()
    for name in names:
        if name not in known:
            raise UserError(f"{name}: no registered model of that name.{nearest(name, known)}")
        if known[name].alias("champion") is None:
            raise UserError(f"{name}: no champion yet. Promote a version first: darkroom promote {name}")
    champions = [model.alias("champion") for name, model in sorted(known.items()) if name in (names or known)]
    found = [version for version in champions if version is not None]
    if not found:
        raise UserError("no champion yet: nothing to export. Train and promote a model first: darkroom run")
    bounds = bounds or {}
    return [
        _export(folder / version.name, version, bounds.get(version.name, ServePolicy())) for version in found
    ]


def _export(folder: Path, version: Version, bounds: ServePolicy) -> Exported:
    bundle = versions.fetch(version)
    graph = (bundle.folder / MODEL).read_bytes()
    target = folder / str(version.number)
    if there := target.exists():
        _check_same(target, graph)
    text = triton_config.of_version(
        bundle.description["name"],
        bundle.graph.inputs,
        bundle.graph.outputs,
        version.number,
        bundle.sha256,
        **bounds.model_dump(include={"max_batch", "batching"}, exclude_none=True),
    )
    files = {LABELS: "".join(f"{name}\n" for name in bundle.description["classes"])} if LABELS in text else {}
    files[triton_config.FILE] = text  # last: from then on the version is the one that is served
    stale = [name for name, text in files.items() if not _holds(folder / name, text)]
    if not there:
        with atomic.folder(target) as temporary:
            (temporary / "model.onnx").write_bytes(graph)
    for name in stale:
        atomic.write_text(folder / name, files[name])
    return Exported(version.name, version.number, bundle.sha256, written=not there or bool(stale))


def _check_same(target: Path, graph: bytes) -> None:
    file = target / "model.onnx"
    found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "nothing"
    if found != hashlib.sha256(graph).hexdigest():
        raise UserError(f"{file}: is not this version's graph. Remove {target}, or name another folder.")


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text
