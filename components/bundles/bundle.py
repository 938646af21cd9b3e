"""Opens, checks and runs an exported bundle. It needs ONNX Runtime and ONNX, and nothing of PyTorch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.bundles import golden, triton_config
from components.bundles.onnx_session import OnnxGraph
from components.bundles.signature import Arrays, Tensor, Tolerance
from data.errors import UserError
from data.frames import Frame
from data.images import DecodeError

DESCRIPTION = "bundle.json"
MODEL = "1/model.onnx"
GOLDEN = "golden.safetensors"
SCHEMA = 1

FP32 = "fp32"
"""The precision of :data:`MODEL`, which every bundle has."""
VARIANTS = ("int8",)
"""Other precisions, of which it may carry variants."""
VARIANT_MODEL, VARIANT_GOLDEN = "variants/{}.onnx", "variants/{}.safetensors"
"""Of a variant of another precision: its graph, and the golden examples as it answered them."""

_KEYS = ("task", "inputs", "outputs", "image", "classes", "golden")


def sha256(folder: Path) -> str:
    """Return a bundle's identity: the SHA-256 of its ``bundle.json``, which holds those of all others."""
    return hashlib.sha256((Path(folder) / DESCRIPTION).read_bytes()).hexdigest()


class Bundle:
    """A verified bundle, ready to answer.

    Attributes:
        folder: where it lies.
        description: the values of ``bundle.json``.
        sha256: its identity.
        graph: its graph.
        precision: of this graph: ``fp32``, or the name of a variant.
    """

    def __init__(
        self, folder: Path, files: Mapping[str, bytes], graph: OnnxGraph, precision: str = FP32
    ) -> None:
        """Use :meth:`open`, which verifies."""
        self.folder = folder
        self.description: dict[str, Any] = json.loads(files[DESCRIPTION])
        self.sha256 = hashlib.sha256(files[DESCRIPTION]).hexdigest()
        self.graph, self.precision = graph, precision
        texts = [tensor.name for tensor in graph.inputs if tensor.dtype == "string"]
        self._golden = golden.read(files[_files(precision)[1]], texts)

    @classmethod
    def open(cls, folder: Path, *, device: str = "cpu", threads: int = 1, precision: str = FP32) -> Bundle:
        """Verify every byte of ``folder`` and load its graph.

        Args:
            folder: a bundle.
            device: ``cpu``, or ``cuda``, which is never replaced by the CPU in silence.
            threads: CPU threads of one answer.
            precision: ``fp32``, or a variant that the bundle carries.

        Raises:
            UserError: a file is missing, changed, a link or not of the bundle; the graph is not valid, not
                self-contained or has another signature than described; there is no GPU, or no such variant, and one is
                asked for.
        """
        folder = Path(folder)
        files = _read(folder)
        description = json.loads(files[DESCRIPTION])
        inputs, outputs = (
            [Tensor.from_json(tensor) for tensor in description[kind]] for kind in ("inputs", "outputs")
        )
        if precision not in (known := precisions(description)):
            raise UserError(f"{folder}: carries no variant {precision!r}: {', '.join(known)}.")
        model, _ = _files(precision)
        graph = OnnxGraph(folder / model, files[model], inputs, outputs, device=device, threads=threads)
        return cls(folder, files, graph, precision)

    def predict(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Answer one request: arrays by input name in, arrays by output name out.

        Raises:
            UserError: a name, dtype or shape is not as ``description["inputs"]`` says.
        """
        return self.graph.predict(inputs)

    def golden(self) -> tuple[Arrays, Arrays]:
        """Return the example inputs and the outputs that were right at export, by name."""
        return self._golden

    def check_golden(self) -> None:
        """Answer the golden examples.

        Raises:
            UserError: an answer is off by more than the tolerance in ``description["golden"]``.
        """
        inputs, _ = self.golden()
        self.check_answers(self.predict(inputs))

    def check_answers(self, answers: Mapping[str, np.ndarray]) -> None:
        """Compare what anybody answered to the golden examples with what was right at export.

        Raises:
            UserError: an answer is off by more than the tolerance in ``description["golden"]``.
        """
        _, expected = self.golden()
        for name, reference in expected.items():
            tolerance = Tolerance(**self._tolerances[name])
            difference, excess = tolerance.compare(answers[name], reference)
            if not excess <= 1:
                told = f"the golden examples are answered wrong: {name!r} is off by {difference:g}"
                raise UserError(f"{self.folder}: {told}.")

    @property
    def _tolerances(self) -> dict[str, Any]:
        told = self.description
        of = told["golden"] if self.precision == FP32 else told["variants"][self.precision]
        return of["tolerances"]

    @property
    def frame(self) -> Frame:
        """What brings a picture to the graph's input, as ``prepare`` did in training."""
        return Frame.of(self.description["image"])

    def prepare_image(self, image: Image.Image) -> np.ndarray:
        """Bring a picture to the graph's input, uint8 [1, H, W, C], as ``prepare`` did in training.

        Raises:
            UserError: its pixels are none of a picture of 8 or 16 bits.
        """
        try:
            return self.frame.of_image(image)[0][None]
        except DecodeError as error:
            raise UserError(f"the picture: {error}.") from None


def precisions(description: Mapping[str, Any]) -> list[str]:
    """Return the precisions in which the bundle of a ``bundle.json`` can answer, ``fp32`` first.

    Raises:
        ValueError: one is not known here; names of files are made of them.
    """
    variants = description.get("variants", {})
    if unknown := variants.keys() - set(VARIANTS):
        raise ValueError(f"variants: no variant {min(unknown)!r}")
    return [FP32, *(name for name, told in variants.items() if told["accepted"])]


def files_of(description: Mapping[str, Any]) -> list[str]:
    """Return the files of the bundle of a ``bundle.json`` beside this one."""
    every = [file for precision in precisions(description) for file in _files(precision)]
    return [*every, triton_config.FILE]


def _files(precision: str) -> tuple[str, str]:
    """Return the files of a precision: its graph, and its golden examples."""
    if precision == FP32:
        return MODEL, GOLDEN
    return VARIANT_MODEL.format(precision), VARIANT_GOLDEN.format(precision)


def _read(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file by its path in ``folder``, each checked against its hash."""
    if not (folder / DESCRIPTION).is_file():
        raise UserError(f"{folder}: no bundle there ({DESCRIPTION} is missing).")
    inside = sorted(folder.rglob("*"))
    for path in inside:
        if path.is_symlink():
            raise UserError(f"{path}: is a link; a bundle holds only files of its own.")
    content = {DESCRIPTION: (folder / DESCRIPTION).read_bytes()}
    hashes = _hashes(folder / DESCRIPTION, content[DESCRIPTION])
    present = {path.relative_to(folder).as_posix() for path in inside if path.is_file()} - {DESCRIPTION}
    for name in sorted(hashes.keys() - present):
        raise UserError(f"{folder / name}: is missing.")
    for name in sorted(present - hashes.keys()):
        raise UserError(f"{folder / name}: is not of this bundle ({DESCRIPTION} does not list it).")
    for name, expected in hashes.items():
        content[name] = (folder / name).read_bytes()
        found = hashlib.sha256(content[name]).hexdigest()
        if found != expected:
            raise UserError(
                f"{folder / name}: was changed or cut (SHA-256 {found[:12]}, at export {expected[:12]})."
            )
    return content


def _hashes(path: Path, content: bytes) -> dict[str, str]:
    """Return the SHA-256 of each file by its name, from the bytes of ``bundle.json``."""
    try:
        description = json.loads(content)
        schema, hashes = description["schema"], dict(description["sha256"])
        expected = files_of(description)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is damaged, or no bundle's ({type(error).__name__}: {error}).") from None
    if schema != SCHEMA:
        raise UserError(f"{path}: schema {schema!r}; this version of Darkroom reads {SCHEMA}.")
    if lacking := [key for key in _KEYS if key not in description]:
        raise UserError(f"{path}: {lacking[0]}: is missing.")
    if set(hashes) != set(expected):
        found = ", ".join(sorted(hashes))
        raise UserError(f"{path}: sha256: a bundle's files are {', '.join(expected)}, not {found}.")
    return hashes
