"""A graph whose products are of integers of eight bits: static quantisation, in the form of Quantize and Dequantize.

Activations are uint8, weights int8, each output channel with a scale of its own. Weights take seven of the eight bits:
where a processor has no VNNI, ONNX Runtime adds two products in 16 bits, which eight would overflow, and the answers
were others than here. ``docs/results/variants.md`` has what this and the other choices cost.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from components.bundles.signature import Arrays

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_BETWEEN = ("Add", "Clip", "Relu")
"""What stands between convolutions: left in FP32, each would cost two conversions of a whole picture."""


@dataclass(frozen=True)
class Quantised:
    """A quantised graph.

    Attributes:
        graph: its bytes.
        products: how many products it has: convolutions, linear layers, products of activations.
        kept: the names of those that stayed FP32, in the order of the graph.
    """

    graph: bytes
    products: int
    kept: list[str]


def quantise(graph: bytes, batches: Iterable[Arrays], left: Collection[str] = ()) -> Quantised:
    """Return ``graph`` with integers where it multiplies by weights, the same bytes every time.

    Convolutional networks take sums and activations in integers, too. Where most products are linear layers, these
    alone are quantised, and their results are FP32: attention and the patches' convolution are faster so.

    Args:
        graph: an ONNX graph of PyTorch's exporter, whose batch norms are in its convolutions.
        batches: inputs by name, by which the ranges of the activations are found.
        left: names of nodes that stay FP32.
    """
    model = onnx.load_model_from_string(graph)
    linear = [node for node in weighted(model) if node.op_type != "Conv"]
    is_convolutional = 2 * len(linear) < len(weighted(model))
    with_weights = {node.name for node in (weighted(model) if is_convolutional else linear)}
    products = [node.name for node in model.graph.node if node.op_type in _WEIGHTED]
    if is_convolutional:
        _fix_layout(model.graph)
    types = [*_WEIGHTED, *(_BETWEEN if is_convolutional else ())]
    stay = {} if is_convolutional else {"OpTypesToExcludeOutputQuantization": list(_WEIGHTED)}
    with tempfile.TemporaryDirectory() as folder, _silence():
        made = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            made,
            _Reader(iter(batches)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=types,
            nodes_to_exclude=[*(name for name in products if name not in with_weights), *left],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=stay,
        )
        quantised = onnx.load_model(made)
    quantised.ClearField("metadata_props")
    return Quantised(quantised.SerializeToString(deterministic=True), len(products), _in_fp32(quantised))


def weighted(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes that multiply by weights, in the order of the graph."""
    weights = {weight.name for weight in model.graph.initializer}
    return [
        node
        for node in model.graph.node
        if node.op_type in _WEIGHTED and not weights.isdisjoint(node.input[:2])
    ]


def _fix_layout(graph: onnx.GraphProto) -> None:
    """Write the standardisation of pixels, a Sub and a Div by channel, as the BatchNormalization that means the same.

    Convolutions of integers take channels last, and ONNX Runtime moves the exporter's Transpose up to them, through all
    that it may. With three channels last, a Sub and a Div take ten times as long; through a BatchNormalization it moves
    none.
    """
    constants = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    made_by = {node.output[0]: node for node in graph.node}
    for divide in [node for node in graph.node if node.op_type == "Div"]:
        subtract = made_by.get(divide.input[0])
        if subtract is None or subtract.op_type != "Sub":
            continue
        mean, spread = (constants.get(node.input[1]) for node in (subtract, divide))
        if mean is None or spread is None or not _is_by_channel(mean) or mean.shape != spread.shape:
            continue
        values = {
            "one": np.ones_like(mean),
            "nothing": np.zeros_like(mean),
            "mean": mean,
            "variance": spread**2,
        }
        names = [f"{divide.name}_{name}" for name in values]
        graph.initializer.extend(
            numpy_helper.from_array(value.reshape(-1), name)
            for name, value in zip(names, values.values(), strict=True)
        )
        inputs = [subtract.input[0], *names]
        at_once = helper.make_node("BatchNormalization", inputs, divide.output, divide.name, epsilon=0.0)
        graph.node.insert(list(graph.node).index(divide), at_once)
        graph.node.remove(divide)
        graph.node.remove(subtract)
        unused = {name for node in (subtract, divide) for name in node.input} - {
            name for node in graph.node for name in node.input
        }
        for weight in [weight for weight in graph.initializer if weight.name in unused]:
            graph.initializer.remove(weight)


def _is_by_channel(constant: np.ndarray) -> bool:
    return constant.ndim == 4 and constant.size == constant.shape[1]


def _in_fp32(model: onnx.ModelProto) -> list[str]:
    """Return the names of the products that take an input as it is, and not from integers."""
    integers = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in _WEIGHTED and not integers.issuperset(node.input[:2])
    ]


class _Reader(CalibrationDataReader):
    def __init__(self, batches: Iterator[Arrays]) -> None:
        self._batches = batches

    def get_next(self) -> Arrays | None:
        return next(self._batches, None)


class _silence:
    """The quantiser advises by warnings of the root's logger: of a graph that it should optimise itself."""

    def __enter__(self) -> None:
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(logging.NOTSET)
