"""An ONNX graph, run by ONNX Runtime: one valid, self-contained file with the signature of its task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.external_data_helper import uses_external_data

from components.bundles.signature import Arrays, Tensor
from data.errors import UserError

PROVIDERS: dict[str, list[Any]] = {
    "cpu": ["CPUExecutionProvider"],
    # TF32 would round each product to 10 bits, and a search for the fastest convolution gives other bits each
    # time.
    "cuda": [
        ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}),
        "CPUExecutionProvider",
    ],
}
"""Execution providers by device, the one that must be there first."""

_DTYPES = {
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
    "tensor(float)": "float32",
    "tensor(string)": "string",
}


class OnnxGraph:
    """A checked graph in a session of its own.

    Attributes:
        path: the file, for messages.
        inputs: its inputs, in order.
        outputs: its outputs, in order.
        input_names: the inputs' names.
        providers: what computes, the preferred one first.
    """

    def __init__(
        self,
        path: Path,
        content: bytes,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        *,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        """Check and load a graph.

        Args:
            path: where the file lies.
            content: its bytes, which are what runs: nobody can exchange the file after they were hashed.
            inputs: the inputs it must have.
            outputs: the outputs it must have.
            device: ``cpu``, or ``cuda``, which is never replaced by the CPU in silence.
            threads: CPU threads of one answer.

        Raises:
            UserError: the graph is not valid, not self-contained or has another signature; or there is no GPU
            and one
                is asked for.
        """
        self.path, self.inputs, self.outputs = path, list(inputs), list(outputs)
        self.input_names = {tensor.name for tensor in self.inputs}
        _check(path, content)
        self._session = _session(path, content, device, threads)
        self.providers: list[str] = self._session.get_providers()
        _check_signature(path, "inputs", self._session.get_inputs(), self.inputs)
        _check_signature(path, "outputs", self._session.get_outputs(), self.outputs)

    def predict(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Answer one request: arrays by input name in, arrays by output name out.

        Raises:
            UserError: a name, dtype or shape is not the graph's.
        """
        wanted = [tensor.name for tensor in self.inputs]
        if set(inputs) != set(wanted):
            raise UserError(f"{self.path}: inputs are {wanted}, not {list(inputs)}.")
        for tensor in self.inputs:
            values = inputs[tensor.name]
            if not tensor.takes(values):
                given = f"{values.dtype} {list(values.shape)}"
                told = f"is {tensor.dtype} {list(tensor.shape)} (-1: any), not {given}"
                raise UserError(f"{self.path}: input {tensor.name!r} {told}.")
        names = [tensor.name for tensor in self.outputs]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


def _check(path: Path, content: bytes) -> None:
    """Check that the graph is valid and whole in itself."""
    try:
        outside = [
            tensor.name
            for tensor in _tensors(onnx.load_model_from_string(content))
            if uses_external_data(tensor)
        ]
        # By path: only so does the checker look at every file that a runtime would open.
        onnx.checker.check_model(path)
    except Exception as error:  # protobuf and the checker raise kinds of their own
        raise UserError(f"{path}: not a valid ONNX graph: {str(error).strip()}") from None
    if outside:
        raise UserError(
            f"{path}: the tensor {outside[0]!r} lies in another file; a bundle's graph is self-contained."
        )


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Yield every tensor in a message, however deep: initializers, attributes, subgraphs, functions."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if field.is_repeated else [value]:
            if isinstance(item, onnx.TensorProto):
                yield item
            else:
                yield from _tensors(item)


def _session(path: Path, content: bytes, device: str, threads: int) -> onnxruntime.InferenceSession:
    wanted = PROVIDERS[device]
    first = wanted[0] if isinstance(wanted[0], str) else wanted[0][0]
    if first not in onnxruntime.get_available_providers():
        raise UserError(f"device {device!r}: this ONNX Runtime has no {first}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: what its warnings tell of, a missing provider, is an error here
    try:
        session = onnxruntime.InferenceSession(content, options, providers=wanted)
    except Exception as error:  # ONNX Runtime raises kinds of its own
        raise UserError(f"{path}: ONNX Runtime cannot load the graph: {str(error).strip()}") from None
    if session.get_providers()[0] != first:
        raise UserError(
            f"device {device!r}: {first} does not start here; ONNX Runtime would compute on the CPU instead."
        )
    return session


def _check_signature(path: Path, kind: str, nodes: Sequence[Any], wanted: Sequence[Tensor]) -> None:
    # ONNX has a name, or nothing, where a length is free.
    found = [
        Tensor(
            node.name,
            _DTYPES.get(node.type, node.type),
            tuple(n if isinstance(n, int) else -1 for n in node.shape),
        )
        for node in nodes
    ]
    if kind == "outputs" and len(found) == len(wanted):
        found = [_loosened(tensor, like) for tensor, like in zip(found, wanted, strict=True)]
    if found != list(wanted):
        raise UserError(f"{path}: its {kind} are {_told(found)}, but must be {_told(wanted)}.")


def _loosened(found: Tensor, like: Tensor) -> Tensor:
    """Return an output with its lengths free where ``like`` has them free, but for the batch, which must be.

    How many boxes a picture gets, say, differs from model to model and is fixed in each one's graph.
    """
    if len(found.shape) != len(like.shape):
        return found
    lengths = zip(found.shape[1:], like.shape[1:], strict=True)
    shape = (*found.shape[:1], *(-1 if wanted == -1 else length for length, wanted in lengths))
    return Tensor(found.name, found.dtype, shape)


def _told(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{tensor.name} {tensor.dtype} {list(tensor.shape)}" for tensor in tensors) or "none"
