"""Resume points: a tree of tensors and plain values in one safetensors file, written whole or not at all.

The file carries the hash of what is in it: whoever loads one gets what was saved, or an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from data import atomic


class Damaged(Exception):
    """The bytes of a resume point are not those that were written."""


def save(path: Path, tree: Any) -> None:
    """Write ``tree`` (dicts, lists, tuples, tensors, JSON values; dict keys of any of those) to ``path`` atomically.

    Tuples come back as lists. Tensors are stored contiguous: whoever restores brings the memory format back.
    """
    tensors: dict[str, torch.Tensor] = {}
    plan = json.dumps(_take(tree, tensors))
    with atomic.file(path) as temporary:
        save_file(tensors, temporary, metadata={"plan": plan, "sha256": _sha256(plan, tensors.items())})


def load(path: Path) -> Any:
    """Return the tree that :func:`save` wrote, its tensors on the CPU.

    Raises:
        Damaged: the file was cut short, or a byte in it is another.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            plan, sha256 = (stored.metadata() or {})["plan"], stored.metadata()["sha256"]
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - it is no dict
        found = _sha256(plan, tensors.items())
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise Damaged(f"{path}: {error}") from None
    if found != sha256:
        raise Damaged(f"{path}: its content has another hash than what was written")
    return _give(json.loads(plan), tensors)


def _sha256(plan: str, tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    digest = hashlib.sha256(plan.encode())
    for key, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _take(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Move the tensors of ``node`` into ``tensors`` and return what is left, as JSON."""
    if isinstance(node, torch.Tensor):
        key = str(len(tensors))
        stored = node.detach().cpu().contiguous()
        memory = {tensor.untyped_storage().data_ptr() for tensor in tensors.values()}
        # safetensors refuses shared memory; all else is not copied: it may be most of what the training takes.
        tensors[key] = stored.clone() if stored.untyped_storage().data_ptr() in memory else stored
        return {"tensor": key}
    if isinstance(node, dict):
        return {"dict": [[key, _take(value, tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return {"list": [_take(value, tensors) for value in node]}
    return node


def _give(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "tensor":
        # A copy: in the file it lies at any address, and matrix products round differently at an unaligned one.
        return tensors[value].clone()
    if kind == "dict":
        return {key: _give(inner, tensors) for key, inner in value}
    return [_give(inner, tensors) for inner in value]
