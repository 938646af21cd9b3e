"""Resume points: a tree of tensors and plain values in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from data import atomic


def save(path: Path, tree: Any) -> None:
    """Write ``tree`` (dicts, lists, tuples, tensors, JSON values; dict keys of any of those) to ``path`` atomically.

    Tuples come back as lists. Tensors are stored contiguous: whoever restores brings the memory format back.
    """
    tensors: dict[str, torch.Tensor] = {}
    plan = json.dumps(_take(tree, tensors))
    with atomic.file(path) as temporary:
        save_file(tensors, temporary, metadata={"plan": plan})


def load(path: Path) -> Any:
    """Return the tree that :func:`save` wrote, its tensors on the CPU."""
    with safe_open(path, framework="pt") as stored:
        return _give(json.loads(stored.metadata()["plan"]), stored)


def _take(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Move the tensors of ``node`` into ``tensors`` and return what is left, as JSON."""
    if isinstance(node, torch.Tensor):
        key = str(len(tensors))
        tensors[key] = node.detach().cpu().contiguous().clone()  # a clone: safetensors refuses shared memory
        return {"tensor": key}
    if isinstance(node, dict):
        return {"dict": [[key, _take(value, tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return {"list": [_take(value, tensors) for value in node]}
    return node


def _give(node: Any, stored: Any) -> Any:
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "tensor":
        # A copy: in the file it lies at any address, and matrix products round differently at an unaligned one.
        return stored.get_tensor(value).clone()
    if kind == "dict":
        return {key: _give(inner, stored) for key, inner in value}
    return [_give(inner, stored) for inner in value]
