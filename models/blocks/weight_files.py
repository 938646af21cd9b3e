"""Weights that others have trained: found in a file, a folder, an installed package or on the hub; read as tensors."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from data.errors import UserError, nearest

FILES = ["*.json", "*.safetensors"]
"""What is brought from the hub. No pickled weights: they can run code."""

PICKLED = (".pth", ".pt")
"""Endings of files that ``torch.save`` wrote: read with ``weights_only``, which runs no code of theirs."""

PACKAGE = "package:"
"""Before a file or folder of an installed Python package: ``package:NAME/weights.pth``."""

MODEL, ORIGIN = "model.safetensors", "origin.json"
"""In a folder of pre-trained weights: the weights, and where they come from: name, source, SHA-256, licence."""


def locate(source: str, where: str, others: Iterable[str] = ()) -> Path:
    """Return the file or folder that ``source`` names: a path, ``package:NAME/PATH``, or a name on the hub.

    A name on the hub (``name@revision`` pins it) is looked up in the hub's cache, and on the hub unless offline.

    Args:
        source: what is to be found.
        where: what an error's message names before it, such as ``params.yaml: weights.x.source``.
        others: what else could have been meant.

    Raises:
        UserError: there is no such file, folder or package, and no such name where it can be looked up.
    """
    if source.startswith(PACKAGE):
        return _in_package(source, where)
    path = Path(source).expanduser()
    if path.exists():
        return path
    if path.suffix in (*PICKLED, ".safetensors"):
        near = nearest(
            path.name, [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        )
        raise UserError(f"{where}: {source}: no such file.{near}")
    return _on_the_hub(source, where, others)


def in_folder(folder: Path) -> list[Path]:
    """Return the files of weights in ``folder``: ``model.safetensors``, or the parts that they are in; maybe none."""
    whole = folder / MODEL
    return [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))


def sha256(files: Iterable[Path]) -> str:
    """Return the SHA-256 of one file as ``sha256sum`` tells it; of several, that of their digests in turn."""
    digests = [_digest(file) for file in files]
    return (digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()).hex()


def read(files: Iterable[Path]) -> dict[str, Tensor]:
    """Return the tensors of files of weights, by name.

    Raises:
        UserError: a file is cut short, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors |= _unpickle(file) if file.suffix in PICKLED else load_file(file)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file}: cannot be read as weights: {error}") from None
    return tensors


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _unpickle(file: Path) -> dict[str, Tensor]:
    import pickle

    import torch

    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        told = str(error).splitlines()[0]
        raise UserError(
            f"{file}: holds more than weights, or is cut short, and is not opened: {told}"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(
            f"{file}: is no state_dict: not every entry is a tensor. Save model.state_dict() alone."
        )
    return dict(found)


def _in_package(source: str, where: str) -> Path:
    name, _, inside = source.removeprefix(PACKAGE).partition("/")
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise UserError(
            f"{where}: {source}: no Python package {name!r} is installed. Install the one that has it."
        )
    path = Path(found.submodule_search_locations[0]) / inside
    if not path.exists():
        near = nearest(
            path.name, [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        )
        raise UserError(f"{where}: {source}: the installed package {name!r} has no {inside!r}.{near}")
    return path


def _on_the_hub(source: str, where: str, others: Iterable[str]) -> Path:
    from huggingface_hub import constants, errors, snapshot_download

    cached = [folder.name.split("--", 1)[1].replace("--", "/") for folder in _cache(constants)]
    valid = nearest(source, [*others, "a folder", *cached])
    name, _, revision = source.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=FILES))
    except errors.HFValidationError:
        raise UserError(f"{where}: {source}: no such folder, and no name on the hub.{valid}") from None
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        if constants.HF_HUB_OFFLINE:
            why = "not in the cache, and the hub is offline (HF_HUB_OFFLINE)"
        elif isinstance(error, errors.RepositoryNotFoundError | errors.RevisionNotFoundError):
            why = "not on the hub"
        else:
            why = "not in the cache, and the hub cannot be reached"
        raise UserError(f"{where}: {source}: no such folder; as a name it is {why}.{valid}") from None


def _cache(constants: Any) -> list[Path]:
    return sorted(Path(constants.HF_HUB_CACHE).glob("models--*"))
