"""From a PyTorch graph module to the bytes of an ONNX graph."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import onnx
import torch
from torch import nn

from components.tasks import Arrays, Tensor
from data.errors import UserError

OPSET = 18
"""PyTorch's own: another one would have to be converted to."""


def convert(graph: nn.Module, inputs: Sequence[Tensor], outputs: Sequence[Tensor], example: Arrays) -> bytes:
    """Trace ``graph`` and return one self-contained ONNX graph, the same bytes every time and everywhere.

    Args:
        graph: called with the inputs by name.
        inputs: its inputs; a length of -1 stays free.
        outputs: its outputs, in order.
        example: inputs to trace with; a batch of two or more, as PyTorch takes a one for a constant.

    Raises:
        UserError: the graph has operations that ONNX does not have.
    """
    tensors = {tensor.name: torch.from_numpy(example[tensor.name]) for tensor in inputs}
    free = {
        tensor.name: {axis: torch.export.Dim.DYNAMIC for axis, size in enumerate(tensor.shape) if size == -1}
        for tensor in inputs
    }
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of its own deprecations while it traces
        try:
            program = torch.onnx.export(
                graph.eval(),
                args=(),
                kwargs=tensors,
                input_names=[tensor.name for tensor in inputs],
                output_names=[tensor.name for tensor in outputs],
                dynamic_shapes=free,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
                external_data=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise UserError(f"the graph cannot be exported to ONNX: {error}") from error
    model = program.model_proto
    _strip(model)
    return model.SerializeToString(deterministic=True)


def _strip(message: Any) -> None:
    """Remove stack traces, paths and comments from a protobuf message, however deep."""
    if isinstance(
        message, onnx.ModelProto | onnx.GraphProto | onnx.NodeProto | onnx.FunctionProto | onnx.ValueInfoProto
    ):
        message.ClearField("doc_string")
        message.ClearField("metadata_props")
    for field, value in message.ListFields():
        if field.message_type is not None and not isinstance(message, onnx.TensorProto):
            for item in value if field.is_repeated else [value]:
                _strip(item)
