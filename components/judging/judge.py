"""The judge that a data set has: what it sees in images. It needs ONNX Runtime and nothing of PyTorch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load

from components.bundles.onnx_session import OnnxGraph
from components.bundles.signature import Tensor, image_tensor
from components.project import inputs, layout
from data import at_once
from data.errors import UserError
from data.prepared import DataSpec

MODEL = "model.onnx"
REFERENCES = "references.safetensors"
DESCRIPTION = "judge.json"
FEATURES = 64

_CHUNK = 256


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the judge's graph."""
    outputs = [
        Tensor("features", "float32", (-1, FEATURES)),
        Tensor("probabilities", "float32", (-1, spec.num_classes)),
    ]
    return [image_tensor(spec)], outputs


def fingerprint(dataset: str) -> str | None:
    """Return the SHA-256 of the present judge of ``dataset``, or None where there is none."""
    file = layout.judge(dataset) / DESCRIPTION
    return json.loads(file.read_text()).get("sha256") if file.exists() else None


class Judge:
    """A judge, ready to look at images.

    Attributes:
        sha256: its identity: numbers of different judges do not compare.
        description: the values of ``judge.json``.
    """

    def __init__(self, path: Path, content: bytes, spec: DataSpec, description: dict[str, Any]) -> None:
        """Load the graph ``content`` that lies at ``path``; :meth:`of` finds a data set's own."""
        self.sha256: str = description["sha256"]
        self.description = description
        self._folder = path.parent
        self._graph = OnnxGraph(path, content, *signature(spec))

    @classmethod
    def of(cls, spec: DataSpec) -> Judge:
        """Return the judge of the data set of ``spec``.

        Raises:
            UserError: it has none, or one of an older state of the data, or the stage that asks does not declare it.
        """
        folder = layout.judge(spec.name)
        inputs.require(folder, "A model that a judge measures belongs under 'generators' of params.yaml.")
        try:
            description = json.loads((folder / DESCRIPTION).read_text())
        except FileNotFoundError:
            raise UserError(f"{folder}: no judge there. Run the judge stage first.") from None
        if not description["judges"]:
            raise UserError(f"{folder}: nothing judges generated images: {description['reason']}.")
        if description["data"] != spec.sha256:
            raise UserError(f"{folder}: judges an older state of {spec.name}. Run the judge stage again.")
        content = (folder / MODEL).read_bytes()
        if hashlib.sha256(content).hexdigest() != description["sha256"]:
            raise UserError(f"{folder / MODEL}: was changed. Run the judge stage again.")
        return cls(folder / MODEL, content, spec, description)

    def embed(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return features float32 [N, 64] and class probabilities float32 [N, K] of uint8 [N, H, W, C]."""
        size = at_once.pictures(images.shape[1:], _CHUNK)
        starts = range(0, len(images), size)
        answers = [self._graph.predict({"image": np.asarray(images[i : i + size])}) for i in starts]
        return tuple(
            np.concatenate([answer[name] for answer in answers]) for name in ("features", "probabilities")
        )

    def references(self) -> dict[str, np.ndarray]:
        """Return the features of real images: ``train`` and ``test``, float32 [at most 2048, 64] each."""
        return load((self._folder / REFERENCES).read_bytes())
