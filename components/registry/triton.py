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
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.bundles.bundle import MODEL, Bundle
from components.registry import versions
from components.registry.versions import Version
from components.tasks import Tensor
from data import atomic
from data.errors import UserError, nearest

MAX_BATCH = 64
"""Rows that Triton gathers at most, of graphs whose every tensor has a free batch."""

LABELS = "labels.txt"

_TYPES = {"uint8": "TYPE_UINT8", "int64": "TYPE_INT64", "float32": "TYPE_FP32", "string": "TYPE_STRING"}


@dataclass(frozen=True)
class Exported:
    """One champion in the repository; ``written`` is false where it was there already."""

    name: str
    version: int
    bundle_sha256: str
    written: bool


def run(folder: Path, names: Collection[str] = ()) -> list[Exported]:
    """Bring the Triton model repository in ``folder`` up to date with the champions of ``names``, or of all models.

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
    return [_export(folder / version.name, version) for version in found]


def _export(folder: Path, version: Version) -> Exported:
    bundle = versions.fetch(version)
    graph = (bundle.folder / MODEL).read_bytes()
    target = folder / str(version.number)
    if there := target.exists():
        _check_same(target, graph)
    text = config(bundle, version)
    files = {LABELS: "".join(f"{name}\n" for name in bundle.description["classes"])} if LABELS in text else {}
    files["config.pbtxt"] = text  # last: from then on the version is the one that is served
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


def config(bundle: Bundle, version: Version) -> str:
    """Return ``config.pbtxt``, a ``ModelConfig`` of Triton in the protocol buffer text format.

    Graphs whose every tensor has a free batch are batched by Triton while they are busy; a generator, which takes a
    seed and a count, is not.
    """
    description = bundle.description
    kinds = {
        kind: [Tensor.from_json(tensor) for tensor in description[f"{kind}s"]] for kind in ("input", "output")
    }
    batched = all(tensor.shape[0] == -1 for tensors in kinds.values() for tensor in tensors)
    lines = [
        f"name: {_string(description['name'])}",
        'backend: "onnxruntime"',
        f"max_batch_size: {MAX_BATCH if batched else 0}",
        f"version_policy {{ specific {{ versions: [ {version.number} ] }} }}",
    ]
    lines += [
        f"{kind} [ {{ {_tensor(tensor, batched, kind, description)} }} ]"
        for kind, tensors in kinds.items()
        for tensor in tensors
    ]
    if batched:
        lines.append("dynamic_batching { }")
    lines.append(f'parameters {{ key: "bundle_sha256" value {{ string_value: "{bundle.sha256}" }} }}')
    return "\n".join(lines) + "\n"


def _tensor(tensor: Tensor, batched: bool, kind: str, description: Mapping[str, Any]) -> str:
    shape = tensor.shape[1:] if batched else tensor.shape
    # A row that is one number has no dimension left, which Triton writes as one of length 1 and takes away again.
    reshape = "" if shape else " reshape { shape: [ ] }"
    dims = ", ".join(map(str, shape or (1,)))
    labels = f' label_filename: "{LABELS}"' if kind == "output" and tensor.name == "probabilities" else ""
    return f"name: {_string(tensor.name)} data_type: {_TYPES[tensor.dtype]} dims: [ {dims} ]{reshape}{labels}"


def _string(text: str) -> str:
    return json.dumps(text)
