"""Makes the variants of a version at its export: each is accepted and goes into the bundle, or is refused and told of.

A variant that is not accepted as a whole is tried once more with its first and last product in FP32, where rounding
costs most: the pixels, and what the classes are told apart by.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from components.bundles import golden
from components.bundles.bundle import GOLDEN, VARIANT_GOLDEN, VARIANT_MODEL
from components.bundles.onnx_session import OnnxGraph
from components.bundles.signature import Arrays, Tolerance
from components.datasets import slices
from components.tasks import Task
from components.variants import acceptance, int8
from data.prepared import PreparedData

CALIBRATION = 256
"""Train images at most by which the ranges of activations are found."""
_AT_ONCE = 8
TOLERANCE = Tolerance(0.02)
"""Of golden answers: integers give the same everywhere, and what stays FP32 moves one by a step of 1/255 at most."""


def add(
    folder: Path,
    variant: str,
    content: bytes,
    fp32: OnnxGraph,
    answers: Arrays,
    task: Task,
    data: PreparedData,
    threads: int,
) -> dict[str, Any]:
    """Write a variant of a graph into the bundle in ``folder``, or nothing; return what ``bundle.json`` says of it.

    Args:
        folder: the bundle.
        variant: ``int8``.
        content: the bytes of its FP32 graph.
        fp32: the same, loaded.
        answers: those of it on the test split.
        task: what is measured.
        data: train images to calibrate by, test images to compare on.
        threads: CPU threads of one answer.
    """
    products = int8.weighted(onnx.load_model_from_string(content))
    sliced = slices.read(data.spec.name, data.test.ids)
    tries: list[dict[str, Any]] = []
    for left in ((), (products[0].name, products[-1].name)):
        made = int8.quantise(content, _batches(task, data), left)
        predict = _load(made.graph, fp32, threads).predict
        found = acceptance.compare(
            task.paired(task.answer(predict, data), data),
            task.paired(answers, data),
            data.spec.classes,
            sliced,
        )
        against = [str(one) for one in found if not one.holds]
        differences = [one.to_json() for one in found]
        tries.append(
            {"products": made.products, "fp32": made.kept, "differences": differences, "against": against}
        )
        if not against:
            asked, _ = golden.read((folder / GOLDEN).read_bytes(), ())
            file = folder / VARIANT_MODEL.format(variant)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(made.graph)
            (folder / VARIANT_GOLDEN.format(variant)).write_bytes(golden.write(asked, predict(asked)))
            tolerances = {output.name: TOLERANCE.to_json() for output in fp32.outputs}
            return {"accepted": True, "tolerances": tolerances, "tries": tries}
    return {"accepted": False, "tries": tries}


def _load(content: bytes, fp32: OnnxGraph, threads: int) -> OnnxGraph:
    """Return a graph with the signature of ``fp32``; nothing but its own file is beside it."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "variant.onnx"
        path.write_bytes(content)
        return OnnxGraph(path, content, fp32.inputs, fp32.outputs, threads=threads)


def _batches(task: Task, data: PreparedData) -> Iterator[Arrays]:
    """Yield train images, spread over the whole split, which may be in the order of its classes."""
    count = min(CALIBRATION, len(data.train))
    for place in np.linspace(0, len(data.train), count // _AT_ONCE or 1, endpoint=False).astype(int):
        yield task.inputs(data, "train", int(place), min(_AT_ONCE, count))
