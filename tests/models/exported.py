"""A model as the export stage converts it, beside the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch.onnx._internal.exporter import _capture_strategies
from torch.onnx._internal.exporter._registration import ONNXRegistry

import models
from components import export, tasks
from components.bundles import parity
from components.bundles.onnx_session import OnnxGraph
from components.trained.torch_model import Reference, arguments
from data.prepared import PreparedData

# What PyTorch has for each operation is the same for every graph: it takes half a second to find.
ONNXRegistry.from_torchlib = staticmethod(cache(ONNXRegistry.from_torchlib))


@contextmanager
def in_one_way() -> Iterator[None]:
    """Have PyTorch not try a second, slower way of tracing where the first fails: no family may need it."""
    first = _capture_strategies.CAPTURE_STRATEGIES[:1]
    with mock.patch.object(_capture_strategies, "CAPTURE_STRATEGIES", first):
        yield


def compare(family: str, model: nn.Module, data: PreparedData, folder: Path) -> set[str]:
    """Compare the stage's own conversion in ONNX Runtime with ``model``; return the batches at which all outputs agree.

    It was traced with none of them.
    """
    graph = models.family(family).graph(model)
    task = tasks.of(models.family(family).TASK, arguments(graph))
    inputs, outputs = task.signature(data.spec)
    with in_one_way():
        content = export.convert(graph, task, data)
    file = folder / "model.onnx"
    file.write_bytes(content)
    onnx = OnnxGraph(file, content, inputs, outputs, threads=1).predict
    pytorch = Reference(graph, data.spec, outputs, torch.device("cpu"), 1)
    report = parity.tensors(family, task, onnx, pytorch, data)
    compared = {tensor.name for tensor in outputs if tensor.dtype != "string"}
    return {batch for batch, found in report.items() if set(found) == compared}
