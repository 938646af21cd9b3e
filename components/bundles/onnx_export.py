"""From a PyTorch graph module to the bytes of an ONNX graph."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import onnx
import torch
from onnxscript import ir
from torch import nn

from components.bundles.signature import Arrays, Tensor
from data.errors import UserError

OPSET = 20
"""The first with Gelu, which is four operations before, and StringConcat."""


def convert(graph: nn.Module, inputs: Sequence[Tensor], outputs: Sequence[Tensor], example: Arrays) -> bytes:
    """Return the self-contained ONNX graph of a module without texts: :func:`trace`, then :func:`serialize`."""
    return serialize(trace(graph, inputs, outputs, example))


def trace(graph: nn.Module, inputs: Sequence[Tensor], outputs: Sequence[Tensor], example: Arrays) -> ir.Model:
    """Trace ``graph``, and return what was traced for more operations to be put in.

    Args:
        graph: called with the inputs by name.
        inputs: its inputs; a length of -1 stays free.
        outputs: its outputs, in order; strings, which PyTorch does not have, are put in afterwards.
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
                output_names=[tensor.name for tensor in outputs if tensor.dtype != "string"],
                dynamic_shapes=free,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
                external_data=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise UserError(f"the graph cannot be exported to ONNX: {error}") from error
    return program.model


def serialize(traced: ir.Model) -> bytes:
    """Return one self-contained ONNX graph, the same bytes every time and everywhere."""
    model = ir.to_proto(traced)
    _strip(model)
    _enclose(model.graph)
    _undeclare(model.graph, set())
    _part(model.graph)
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


def _enclose(graph: onnx.GraphProto) -> None:
    """Move each weight that only one loop's or branch's body uses into that body.

    ONNX Runtime arranges a convolution's weights for the processor only where they are in the graph of the node:
    a diffusion model's loop is then about 1.5 times as fast.
    """
    bodies = [body for node in graph.node for body in _subgraphs(node)]
    used = [_used(body) for body in bodies]
    outside = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for weight in list(graph.initializer):
        users = [number for number, names in enumerate(used) if weight.name in names]
        if weight.name not in outside and len(users) == 1:
            bodies[users[0]].initializer.append(weight)
            graph.initializer.remove(weight)
    for body in bodies:
        _enclose(body)


def _undeclare(graph: onnx.GraphProto, outside: set[str]) -> None:
    """Remove the declared types of weights: a weight has its type itself.

    Tools that rewrite weights take such declarations for the truth: ONNX Runtime's ``quantize_dynamic`` transposes a
    linear layer's weight and then fails on the shape that was declared for it.
    """
    weights = outside | {weight.name for weight in graph.initializer}
    kept = [value for value in graph.value_info if value.name not in weights]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for node in graph.node:
        for body in _subgraphs(node):
            _undeclare(body, weights)


def _part(graph: onnx.GraphProto) -> None:
    """Write the sum that a layer norm takes as Sum in place of Add, which means the same of two.

    ONNX Runtime makes one operation of an Add and a LayerNormalization, and on a CPU that takes five times as long as
    both.
    """
    normalised = {node.input[0] for node in graph.node if node.op_type == "LayerNormalization"}
    for node in graph.node:
        if node.op_type == "Add" and node.output[0] in normalised:
            node.op_type = "Sum"
        for body in _subgraphs(node):
            _part(body)


def _subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]


def _used(graph: onnx.GraphProto) -> set[str]:
    """Return the names that the nodes and outputs of a graph use, however deep."""
    names = {output.name for output in graph.output}
    for node in graph.node:
        names |= set(node.input).union(*map(_used, _subgraphs(node)))
    return names
