"""Writes ``config.pbtxt``, which tells NVIDIA Triton what a model is: a ``ModelConfig`` in protocol buffer text format.

There are two: that of a bundle, whose folder is a Triton model repository of one version, and that of a repository of
champions, where Triton batches, and names the version that is served.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from components.bundles.signature import Tensor

FILE = "config.pbtxt"

LABELS = "labels.txt"
"""The file beside it that names the classes."""

MAX_BATCH = 64
"""Rows that Triton gathers at most, of graphs whose every tensor has a free batch."""

_TYPES = {"uint8": "TYPE_UINT8", "int64": "TYPE_INT64", "float32": "TYPE_FP32", "string": "TYPE_STRING"}


def of_bundle(name: str, inputs: Iterable[Tensor], outputs: Iterable[Tensor]) -> str:
    """Return that of a bundle: the batch is a dimension like any other, since a seed's request has none."""
    lines = _head(name, max_batch=0)
    for kind, tensors in (("input", inputs), ("output", outputs)):
        lines += [f"{kind} [\n  {{ {_tensor(tensor, tensor.shape)} }}\n]" for tensor in tensors]
    return _text(lines)


def of_version(
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    number: int,
    bundle_sha256: str,
    *,
    max_batch: int = MAX_BATCH,
    batching: bool = True,
) -> str:
    """Return that of version ``number`` in a repository of champions.

    Graphs whose every tensor has a free batch are batched by Triton while they are busy, ``max_batch`` rows at most,
    unless ``batching`` is false; a generator, which takes a seed and a count, never is.
    """
    batched = all(tensor.shape[0] == -1 for tensor in (*inputs, *outputs))
    lines = _head(name, max_batch if batched else 0)
    lines.append(f"version_policy {{ specific {{ versions: [ {number} ] }} }}")
    lines += [f"input [ {{ {_row(tensor, batched)} }} ]" for tensor in inputs]
    lines += [f"output [ {{ {_row(tensor, batched)}{_labels(tensor)} }} ]" for tensor in outputs]
    if batched and batching:
        lines.append("dynamic_batching { }")
    lines.append(f'parameters {{ key: "bundle_sha256" value {{ string_value: {_string(bundle_sha256)} }} }}')
    return _text(lines)


def _head(name: str, max_batch: int) -> list[str]:
    return [f"name: {_string(name)}", 'backend: "onnxruntime"', f"max_batch_size: {max_batch}"]


def _tensor(tensor: Tensor, shape: Sequence[int]) -> str:
    dims = ", ".join(map(str, shape))
    return f"name: {_string(tensor.name)} data_type: {_TYPES[tensor.dtype]} dims: [ {dims} ]"


def _row(tensor: Tensor, batched: bool) -> str:
    """Return a tensor as one row of a batch has it."""
    if not batched:
        return _tensor(tensor, tensor.shape)
    # A row that is one number has no dimension left, which Triton writes as one of length 1 and takes away again.
    row = tensor.shape[1:]
    return _tensor(tensor, row) if row else f"{_tensor(tensor, (1,))} reshape {{ shape: [ ] }}"


def _labels(tensor: Tensor) -> str:
    return f' label_filename: "{LABELS}"' if tensor.name == "probabilities" else ""


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
