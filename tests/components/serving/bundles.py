"""Bundles with graphs made by hand, one for each signature; answers tell which version gave them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxscript import ir

from components.bundles import golden, onnx_export, onnx_text
from components.bundles.bundle import DESCRIPTION, GOLDEN, MODEL, sha256
from components.bundles.signature import Tensor
from components.bundles.triton_config import FILE as TRITON
from data import atomic, captions

IMAGE = Tensor("image", "uint8", (-1, 4, 4, 1))
CLASSES = ["bar", "dot", "ring"]
PROBABILITIES = Tensor("probabilities", "float32", (-1, 3))
SIGNATURES = {
    "classification": ([IMAGE], [PROBABILITIES]),
    "density": ([IMAGE], [Tensor("log_likelihood", "float32", (-1,)), PROBABILITIES]),
    "generation": (
        [Tensor("seed", "int64", (1,)), Tensor("count", "int64", (1,))],
        [Tensor("image", "uint8", (-1, 4, 4, 1))],
    ),
    "conditional": (
        [Tensor("seed", "int64", (1,)), Tensor("count", "int64", (1,)), Tensor("label", "int64", (1,))],
        [Tensor("image", "uint8", (-1, 4, 4, 1))],
    ),
    "text_to_image": (
        [Tensor("prompt", "string", (-1,)), Tensor("seed", "int64", (1,))],
        [Tensor("image", "uint8", (-1, 4, 4, 1))],
    ),
    "controlled_generation": (
        [IMAGE, Tensor("prompt", "string", (-1,)), Tensor("seed", "int64", (1,))],
        [Tensor("drawn", "uint8", (-1, 4, 4, 1))],
    ),
    "translation": ([IMAGE], [Tensor("translated", "uint8", (-1, 4, 4, 1))]),
    "reenactment": (
        [Tensor("landmarks", "float32", (-1, 5, 2)), Tensor("shots", "uint8", (-1, -1, 4, 4, 1))],
        [Tensor("image", "uint8", (-1, 4, 4, 1))],
    ),
    "transcription": (
        [IMAGE],
        [
            Tensor("symbols", "int64", (-1, 1)),
            Tensor("confidence", "float32", (-1,)),
            Tensor("text", "string", (-1,)),
        ],
    ),
    "segmentation": ([IMAGE], [Tensor("mask", "uint8", (-1, 4, 4))]),
    "detection": (
        [IMAGE, Tensor("size", "int64", (-1, 2))],
        [
            Tensor("boxes", "float32", (-1, 3, 4)),
            Tensor("scores", "float32", (-1, 3)),
            Tensor("labels", "int64", (-1, 3)),
        ],
    ),
    "slow": ([IMAGE], [PROBABILITIES]),
}
"""By kind; ``conditional`` is of the task generation, ``slow`` is a classifier that takes its time."""
CORNERS = np.array([[0, 0, 1, 1], [0.25, 0.5, 0.75, 1], [0, 0, 0.5, 0.5]], np.float32)
SCORES = np.array([0.5, 0.75, 0.25], np.float32)
"""Of every picture a detector finds these, in units of its sides; their classes go on from the mark."""
BY_WORDS = ("text_to_image", "controlled_generation")
WORDS = ["a", "bar", "big", "dot", "ring", "small"]
LONGEST_CAPTION = 3
WEIGHTS = np.array([1, 8, 64])
"""Of a caption's tokens, whose sum shows in its image."""
TASKS = {"conditional": "generation", "slow": "classification"}
_DTYPES = {
    "uint8": TensorProto.UINT8,
    "int64": TensorProto.INT64,
    "float32": TensorProto.FLOAT,
    "string": TensorProto.STRING,
}


def write(
    folder: Path, kind: str = "classification", *, mark: int = 0, golden_off: float = 0.0, **changes: object
) -> str:
    """Write a bundle and return its SHA-256.

    Args:
        folder: where to.
        kind: of :data:`SIGNATURES`.
        mark: shows in every answer: of a classifier, the second probability is it.
        golden_off: what the golden answers are wrong by.
        changes: put in place of entries of ``bundle.json``.
    """
    given = example(kind, 4)
    expected = answers(kind, given, mark)
    for name, values in expected.items():
        if values.dtype != object:
            expected[name] = values + values.dtype.type(golden_off)
    signature = SIGNATURES[kind]
    model = ir.from_proto(_graph(kind, *signature, mark))
    if kind in BY_WORDS:
        onnx_text.read(model, "prompt", WORDS)
    content = onnx_export.serialize(model)
    return wrap(folder, content, TASKS.get(kind, kind), signature, given, expected, **changes)


def write_all(folder: Path) -> dict[str, str]:
    """Write a bundle of each kind below ``folder``; return their folders by kind."""
    for kind in SIGNATURES:
        write(folder / kind, kind)
    return {kind: str(folder / kind) for kind in SIGNATURES}


def wrap(
    folder: Path,
    content: bytes,
    task: str,
    signature: tuple[list[Tensor], list[Tensor]],
    given: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    **changes: object,
) -> str:
    """Write a bundle around the graph ``content`` that answers ``given`` with ``expected``; return its SHA-256."""
    with atomic.folder(folder) as made:
        (made / "1").mkdir()
        (made / MODEL).write_bytes(content)
        (made / TRITON).write_text('backend: "onnxruntime"\n')
        (made / GOLDEN).write_bytes(golden.write(given, expected))
        inputs, outputs = signature
        tolerance = {"absolute": 1e-4, "relative": 1e-5}
        values = {
            "schema": 1,
            "name": folder.name,
            "family": "cnn",
            "task": task,
            "dataset": "shapes",
            "primary": "accuracy",
            "inputs": [tensor.to_json() for tensor in inputs],
            "outputs": [tensor.to_json() for tensor in outputs],
            "image": {
                "height": 4,
                "width": 4,
                "channels": 1,
                "levels": 256,
                "mode": "L",
                "resample": "BILINEAR",
            },
            "classes": CLASSES,
            **({"words": WORDS, "longest_caption": LONGEST_CAPTION} if task in BY_WORDS else {}),
            "metrics": {"accuracy": {"value": 0.9, "low": 0.8, "high": 1.0, "better": "higher"}},
            "parity": {},
            "golden": {"tolerances": {tensor.name: tolerance for tensor in outputs}},
            "sha256": {
                f: hashlib.sha256((made / f).read_bytes()).hexdigest() for f in (MODEL, TRITON, GOLDEN)
            },
        }
        atomic.write_json(made / DESCRIPTION, values | changes)
    return sha256(folder)


def example(kind: str, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return inputs for ``rows`` rows, others for each ``seed``."""
    random = np.random.default_rng(seed)
    if kind in ("generation", "conditional"):
        given = {"seed": random.integers(0, 100, 1), "count": np.array([rows])}
        return given | ({"label": np.array([seed % 3])} if kind == "conditional" else {})
    if kind == "text_to_image":
        texts = [" ".join(random.choice(WORDS, random.integers(1, LONGEST_CAPTION + 1))) for _ in range(rows)]
        return {"prompt": np.array(texts, dtype=object), "seed": random.integers(0, 30, 1)}
    if kind == "reenactment":
        return {
            "landmarks": random.random((rows, 5, 2), dtype=np.float32),
            "shots": random.integers(0, 256, (rows, 1 + seed % 3, 4, 4, 1), dtype=np.uint8),
        }
    given = {"image": random.integers(0, 256, (rows, 4, 4, 1), dtype=np.uint8)}
    if kind == "controlled_generation":
        return given | example("text_to_image", rows, seed)
    return given | ({"size": random.integers(1, 99, (rows, 2))} if kind == "detection" else {})


def answers(kind: str, given: dict[str, np.ndarray], mark: int = 0) -> dict[str, np.ndarray]:
    """Return what the graph must answer, computed by numpy alone."""
    if kind in ("classification", "density", "slow"):
        sums = given["image"].reshape(len(given["image"]), -1).astype(np.float32).sum(axis=1)
        marks = np.full_like(sums, mark)
        probabilities = np.stack([sums, marks, marks], axis=1)
        more = {"log_likelihood": sums} if kind == "density" else {}
        return more | {"probabilities": probabilities}
    if kind == "transcription":
        sums = given["image"].reshape(len(given["image"]), -1).sum(axis=1, dtype=np.int64) + mark
        told = np.array([str(n) for n in sums], dtype=object)
        return {"symbols": sums[:, None], "confidence": sums.astype(np.float32), "text": told}
    if kind == "segmentation":
        return {"mask": (given["image"][..., 0] + np.uint8(mark)) % np.uint8(4)}
    if kind == "detection":
        sides = given["size"][:, None, [1, 0, 1, 0]].astype(np.float32)
        rows = (len(given["size"]), 1)
        labels = np.tile((np.arange(3) + mark) % 3, rows)
        return {
            "boxes": np.ascontiguousarray(CORNERS * sides),
            "scores": np.tile(SCORES, rows),
            "labels": labels,
        }
    if kind == "text_to_image":
        taken_apart = [[word for word in text.split(" ") if word] for text in given["prompt"]]
        tokens = captions.encode(taken_apart, WORDS, LONGEST_CAPTION)
        values = (tokens @ WEIGHTS + given["seed"][0] + mark + np.arange(len(tokens))) % 251
        return {
            "image": np.broadcast_to(values[:, None, None, None], (len(values), 4, 4, 1)).astype(np.uint8)
        }
    if kind == "controlled_generation":
        return {"drawn": given["image"] + answers("text_to_image", given, mark)["image"]}
    if kind == "translation":
        return {"translated": given["image"] + np.uint8(mark)}
    if kind == "reenactment":
        return {"image": given["shots"][:, 0] + np.uint8(mark)}
    start = given["seed"][0] + mark + given.get("label", np.zeros(1, int))[0]
    values = (start + np.arange(given["count"][0])) % 251
    return {"image": np.broadcast_to(values[:, None, None, None], (len(values), 4, 4, 1)).astype(np.uint8)}


def _graph(kind: str, inputs: list[Tensor], outputs: list[Tensor], mark: int) -> onnx.ModelProto:
    make = {
        "translation": _translation,
        "reenactment": _reenactment,
        "transcription": _transcription,
        "segmentation": _segmentation,
        "detection": _detection,
        "text_to_image": _text_to_image,
        "controlled_generation": _controlled_generation,
    }.get(kind)
    if kind in ("classification", "density", "slow"):
        nodes, constants = _sums(mark, density=kind == "density", slow=kind == "slow")
    elif make:
        nodes, constants = make(mark)
    else:
        nodes, constants = _generator(mark, conditional=kind == "conditional")
    # As PyTorch has it: the strings are put in afterwards.
    tokens = Tensor("prompt", "int64", (-1, LONGEST_CAPTION))
    inputs = [tokens if tensor.dtype == "string" else tensor for tensor in inputs]
    graph = helper.make_graph(
        nodes,
        kind,
        [_value(tensor) for tensor in inputs],
        [_value(tensor) for tensor in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def _sums(mark: int, *, density: bool, slow: bool):
    """Probabilities are the sum of the pixels, and the mark twice."""
    weights = np.zeros((16, 3), np.float32)
    weights[:, 0] = 1
    constants = {
        "flat_shape": np.array([-1, 16]),
        "weights": weights,
        "bias": np.array([0, mark, mark], np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["pixels", "flat_shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["sums"]),
    ]
    last = "sums"
    if slow:
        # Multiplications of a matrix that depends on the input, whose result is nothing in the end.
        constants |= {
            "ones": np.ones((700, 700), np.float32),
            "zero": np.float32(0),
            "small": np.float32(1e-3),
        }
        nodes += [
            helper.make_node("ReduceMax", ["pixels"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["largest", "small"], ["factor"]),
            helper.make_node("Mul", ["ones", "factor"], ["work_0"]),
        ]
        for step in range(4):
            nodes += [
                helper.make_node("MatMul", [f"work_{step}", "ones"], [f"product_{step}"]),
                helper.make_node("Tanh", [f"product_{step}"], [f"work_{step + 1}"]),
            ]
        nodes += [
            helper.make_node("ReduceMin", ["work_4"], ["least"], keepdims=0),
            helper.make_node("Mul", ["least", "zero"], ["nothing"]),
            helper.make_node("Add", ["sums", "nothing"], ["late"]),
        ]
        last = "late"
    nodes.append(helper.make_node("Add", [last, "bias"], ["probabilities"]))
    if density:
        constants["first"] = np.int64(0)
        nodes.append(helper.make_node("Gather", ["sums", "first"], ["log_likelihood"], axis=1))
    return nodes, constants


def _transcription(mark: int):
    """The sum of the pixels and the mark, as a number and as text."""
    constants = {
        "flat": np.array([-1, 16]),
        "axis": np.array([1]),
        "mark": np.int64(mark),
        "none": np.array([-1]),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["pixels", "flat"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["sums"], keepdims=1),
        helper.make_node("Add", ["sums", "mark"], ["symbols"]),
        helper.make_node("Reshape", ["symbols", "none"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["text"], to=TensorProto.STRING),
        helper.make_node("Cast", ["numbers"], ["confidence"], to=TensorProto.FLOAT),
    ]
    return nodes, constants


def _segmentation(mark: int):
    """The last two bits of each pixel and the mark."""
    constants = {"mark": np.uint8(mark), "four": np.uint8(4), "last": np.array([3])}
    nodes = [
        helper.make_node("Squeeze", ["image", "last"], ["pixels"]),
        helper.make_node("Add", ["pixels", "mark"], ["marked"]),
        helper.make_node("Mod", ["marked", "four"], ["mask"]),
    ]
    return nodes, constants


def _detection(mark: int):
    """The same objects in every picture, in units of its sides."""
    constants = {
        "corners": CORNERS[None],
        "sides": np.array([1, 0, 1, 0]),
        "middle": np.array([1]),
        "first": np.array([0]),
        "one": np.array([1]),
        "scored": SCORES[None],
        "labelled": ((np.arange(3) + mark) % 3)[None],
    }
    nodes = [
        helper.make_node("Gather", ["size", "sides"], ["whole"], axis=1),
        helper.make_node("Cast", ["whole"], ["lengths"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["lengths", "middle"], ["lengths_n1c"]),
        helper.make_node("Mul", ["lengths_n1c", "corners"], ["boxes"]),
        helper.make_node("Shape", ["size"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["count"]),
        helper.make_node("Concat", ["count", "one"], ["rows"], axis=0),
        helper.make_node("Expand", ["scored", "rows"], ["scores"]),
        helper.make_node("Expand", ["labelled", "rows"], ["labels"]),
    ]
    return nodes, constants


def _translation(mark: int):
    return [helper.make_node("Add", ["image", "mark"], ["translated"])], {"mark": np.uint8(mark)}


def _reenactment(mark: int):
    """The first shot, with the mark and nothing of the landmarks."""
    constants = {
        "mark": np.uint8(mark),
        "first": np.int64(0),
        "zero": np.float32(0),
        "axes": np.array([1, 2]),
    }
    nodes = [
        helper.make_node("Gather", ["shots", "first"], ["shot"], axis=1),
        helper.make_node("Mul", ["landmarks", "zero"], ["nothings"]),
        helper.make_node("ReduceSum", ["nothings", "axes"], ["nothing"], keepdims=0),
        helper.make_node("Cast", ["nothing"], ["none"], to=TensorProto.UINT8),
        helper.make_node("Reshape", ["none", "shape"], ["none_nhwc"]),
        helper.make_node("Add", ["shot", "mark"], ["marked"]),
        helper.make_node("Add", ["marked", "none_nhwc"], ["image"]),
    ]
    return nodes, constants | {"shape": np.array([-1, 1, 1, 1])}


def _generator(mark: int, *, conditional: bool):
    """Image i shows the grey level seed + mark + label + i."""
    start = ["seed", "mark", "label"] if conditional else ["seed", "mark"]
    nodes = [
        helper.make_node("Squeeze", ["count"], ["number"]),
        helper.make_node("Range", ["zero", "number", "one"], ["range"]),
        helper.make_node("Add", start[:2], ["marked"]),
        helper.make_node("Add", ["marked", "label"] if conditional else ["marked", "zero"], ["start"]),
        helper.make_node("Add", ["range", "start"], ["place"]),
    ]
    return [*nodes, *_grey("place")], _generator_constants(mark)


def _grey(level: str) -> list[onnx.NodeProto]:
    """Return the nodes that make ``count`` pictures, each of one grey: ``level`` modulo the number of levels."""
    return [
        helper.make_node("Mod", [level, "levels"], ["level"]),
        helper.make_node("Cast", ["level"], ["grey"], to=TensorProto.UINT8),
        helper.make_node("Unsqueeze", ["grey", "axes"], ["column"]),
        helper.make_node("Concat", ["count", "tail"], ["size"], axis=0),
        helper.make_node("Expand", ["column", "size"], ["image"]),
    ]


def _generator_constants(mark: int) -> dict[str, np.ndarray]:
    return {
        "zero": np.array(0),
        "one": np.array(1),
        "mark": np.array([mark]),
        "levels": np.array(251),
        "axes": np.array([1, 2, 3]),
        "tail": np.array([4, 4, 1]),
    }


def _text_to_image(mark: int):
    """Image i shows the grey level of its caption's weighed tokens + seed + mark + i."""
    constants = _generator_constants(mark) | {
        "first": np.array([0]),
        "axis": np.array([1]),
        "weights": WEIGHTS,
    }
    nodes = [
        helper.make_node("Mul", ["prompt", "weights"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "axis"], ["told"], keepdims=0),
        helper.make_node("Shape", ["prompt"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["count"]),
        helper.make_node("Squeeze", ["count"], ["number"]),
        helper.make_node("Range", ["zero", "number", "one"], ["range"]),
        helper.make_node("Add", ["seed", "mark"], ["start"]),
        helper.make_node("Add", ["range", "start"], ["place"]),
        helper.make_node("Add", ["told", "place"], ["sum"]),
    ]
    return [*nodes, *_grey("sum")], constants


def _controlled_generation(mark: int):
    """The edge map, and on it what the caption alone would show."""
    nodes, constants = _text_to_image(mark)
    nodes[-1].output[0] = "by_words"
    return [*nodes, helper.make_node("Add", ["image", "by_words"], ["drawn"])], constants


def _value(tensor: Tensor) -> onnx.ValueInfoProto:
    shape = [f"{tensor.name}_{axis}" if n < 0 else n for axis, n in enumerate(tensor.shape)]
    return helper.make_tensor_value_info(tensor.name, _DTYPES[tensor.dtype], shape)
