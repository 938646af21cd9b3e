"""A small real workspace: data, validation, and bundles with graphs made by hand: no test needs PyTorch."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from components import tasks
from components.bundles.bundle import GOLDEN, MODEL, sha256
from components.bundles.onnx_session import OnnxGraph
from components.bundles.signature import Tensor
from components.bundles.triton_config import FILE as TRITON
from components.judging.judge import FEATURES, Judge, signature
from components.project import layout
from data import atomic
from data.prepared import DataSpec, PreparedData
from tests import prepared_split

DATASET = "shapes"
SOURCES = {DATASET: f"data/{DATASET}/dataset.yaml"}
CLASSES = ("bar", "dot", "ring")
SIDE = 4
SIZES = {"train": 60, "validation": 30, "test": 300}
FAMILY_MODELS = {
    "shapes-logreg": {"family": "logreg"},
    "shapes-gmm": {"family": "gmm", "overrides": {"components": 1}},
    "shapes-cnn": {"family": "cnn", "overrides": {"epochs": 10, "least_steps": 10, "widths": [4, 8]}},
    "shapes-vae": {
        "family": "vae",
        "overrides": {"epochs": 10, "least_steps": 10, "width": 16, "latents": 4, "draws": 2},
    },
    "shapes-vae-by-class": {
        "family": "vae",
        "overrides": {
            "epochs": 40,
            "least_steps": 450,
            "width": 16,
            "latents": 4,
            "draws": 2,
            "conditional": True,
        },
    },
}
"""Models of every family, small enough to be trained in a test."""
EXACT = {"difference": 0.0, "tolerance": {"absolute": 1e-4, "relative": 0.0}}
HISTORY = "step,loss,val_accuracy\n1,0.9,\n2,0.5,0.8\n"
FAMILIES = {"classification": "logreg", "density": "gmm", "generation": "vae"}


def enter_copy(made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy a workspace into ``folder``, and make the copy the working directory."""
    own = folder / "project"
    shutil.copytree(made, own)
    monkeypatch.chdir(own)
    return own


def make(root: Path) -> None:
    """Write ``params.yaml``, prepared data and a passed validation into ``root``, the working directory."""
    for family in FAMILIES.values():
        atomic.write_text(root / "models" / family / "__init__.py", "")
    atomic.write_text(
        root / layout.dataset_file(DATASET), "source: packaged\nimage: {height: 4, width: 4, channels: 1}\n"
    )
    write_params({})
    prepare()
    judge()
    validate()


def write_params(gate: dict, *, names: tuple[str, ...] = ("m",), task: str = "classification") -> None:
    models = {name: {"family": FAMILIES[task], "dataset": DATASET} for name in names}
    atomic.write_text(
        Path("params.yaml"), yaml.safe_dump({"datasets": SOURCES, "models": models, "gate": gate})
    )


def write_families() -> None:
    """Put :data:`FAMILY_MODELS` into ``params.yaml``."""
    for model in FAMILY_MODELS.values():
        atomic.write_text(Path("models") / model["family"] / "__init__.py", "")
    models = {name: {"dataset": DATASET, **model} for name, model in FAMILY_MODELS.items()}
    atomic.write_text(Path("params.yaml"), yaml.safe_dump({"datasets": SOURCES, "models": models}))


def validate(success: bool = True) -> None:
    from components.datasets import manifest  # which imports pandas: stages of the toy pipeline do without

    atomic.write_bytes(layout.ingested(DATASET) / "manifest/part.parquet", b"a manifest")
    verdict = {
        "success": success,
        "manifest": manifest.fingerprint(layout.ingested(DATASET)),
        "suite": "5" * 64,
    }
    atomic.write_json(layout.validation_file(DATASET), verdict)


def export(
    name: str = "m",
    *,
    task: str = "classification",
    noise: float = 0.0,
    seed: int = 0,
    golden_off: float = 0.0,
) -> str:
    """Export and evaluate a model, worse with more ``noise`` in its weights; return the bundle's SHA-256.

    Its golden answers are wrong by ``golden_off``.
    """
    data = PreparedData(layout.prepared(DATASET))
    module = tasks.of(task)
    inputs, outputs = module.signature(data.spec)
    with atomic.folder(layout.bundle(name)) as folder:
        content = _graph(name, task, data, noise, seed).SerializeToString()
        (folder / "1").mkdir()
        (folder / MODEL).write_bytes(content)
        (folder / TRITON).write_text('backend: "onnxruntime"\n')
        predict = OnnxGraph(folder / MODEL, content, inputs, outputs).predict
        asked = module.inputs(data, "validation", 1, 4)
        golden = {f"input/{key}": value for key, value in asked.items()}
        for key, value in predict(asked).items():
            golden[f"output/{key}"] = value + value.dtype.type(golden_off)
        save_file(golden, folder / GOLDEN)
        measured = module.measure(module.answer(predict, data), data).to_json()
        atomic.write_json(folder / "bundle.json", _describe(folder, name, task, data, measured))
    shared = {"task": task, "dataset": DATASET, "num_examples": len(data.test)}
    atomic.write_json(layout.evaluated(name) / "metrics.json", shared | measured)
    atomic.write_bytes(layout.evaluated(name) / "plots" / "confusion.png", b"\x89PNG")
    atomic.write_text(layout.trained(name) / "history.csv", HISTORY)
    return sha256(layout.bundle(name))


def _describe(folder: Path, name: str, task: str, data: PreparedData, measured: dict) -> dict:
    module = tasks.of(task)
    inputs, outputs = module.signature(data.spec)
    return {
        "schema": 1,
        "name": name,
        "family": FAMILIES[task],
        "task": task,
        "dataset": DATASET,
        "inputs": [tensor.to_json() for tensor in inputs],
        "outputs": [tensor.to_json() for tensor in outputs],
        "image": {
            "height": SIDE,
            "width": SIDE,
            "channels": 1,
            "levels": 256,
            "mode": "L",
            "resample": "BILINEAR",
        },
        "classes": list(data.spec.classes),
        "metrics": measured["metrics"],
        **({"judge": measured["judge"]} if "judge" in measured else {}),
        "parity": {"batches": {"1": {"probabilities": EXACT}}, "examples": {}, "metrics": {}},
        "golden": {"tolerances": {key: t.to_json() for key, t in module.TOLERANCES.items()}},
        "data": data.spec.sha256,
        "params": "1" * 64,
        "code": "2" * 64,
        "sha256": {f: hashlib.sha256((folder / f).read_bytes()).hexdigest() for f in (MODEL, TRITON, GOLDEN)},
    }


def _graph(name: str, task: str, data: PreparedData, noise: float, seed: int) -> onnx.ModelProto:
    make = {"classification": _classifier, "density": _density, "generation": _generator}[task]
    nodes, constants = make(data, noise, seed)
    inputs, outputs = tasks.of(task).signature(data.spec)
    graph = helper.make_graph(nodes, name, [*map(_value, inputs)], [*map(_value, outputs)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def prepare() -> None:
    random = np.random.default_rng(0)
    means = random.integers(40, 216, size=(len(CLASSES), SIDE, SIDE, 1))
    ids, digest = {}, hashlib.sha256()
    with atomic.folder(layout.prepared(DATASET)) as folder:
        for split, size in SIZES.items():
            labels = np.arange(size, dtype=np.int64) % len(CLASSES)
            images = np.clip(means[labels] + random.normal(0, 40, (size, SIDE, SIDE, 1)), 0, 255).astype(
                np.uint8
            )
            prepared_split.write(folder, split, {"images": images, "labels": labels})
            ids[split] = [f"{split}-{k}" for k in range(size)]
            digest.update(images.tobytes() + labels.tobytes())
        spec = DataSpec(
            name=DATASET,
            task="classification",
            classes=CLASSES,
            height=SIDE,
            width=SIDE,
            channels=1,
            levels=256,
            mean=(0.5,),
            std=(0.25,),
            sha256=digest.hexdigest(),
        )
        atomic.write_json(folder / "spec.json", spec.to_json())
        atomic.write_json(folder / "ids.json", ids)


def judge(seed: int = 0) -> None:
    """Write a judge that knows the class means; its features are of another direction for each ``seed``."""
    data = PreparedData(layout.prepared(DATASET))
    directions = np.random.default_rng(seed).normal(size=(np.prod(data.spec.shape), FEATURES)) / 4
    nodes, constants = _classifier(data, 0.0, 0)
    nodes.append(helper.make_node("MatMul", ["flat", "directions"], ["features"]))
    constants += _constants({"directions": directions.astype(np.float32)})
    inputs, outputs = signature(data.spec)
    graph = helper.make_graph(nodes, "judge", [*map(_value, inputs)], [*map(_value, outputs)], constants)
    opset = [helper.make_opsetid("", 18)]
    content = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    description = {"judges": True, "sha256": hashlib.sha256(content).hexdigest(), "data": data.spec.sha256}
    folder = layout.judge(DATASET)
    atomic.write_bytes(folder / "model.onnx", content)
    seen = Judge(folder / "model.onnx", content, data.spec, description)
    references = {name: seen.embed(getattr(data, name).images)[0] for name in ("train", "test")}
    save_file(references, folder / "references.safetensors")
    atomic.write_json(folder / "judge.json", description | {"accuracy": 1.0})


def _means(data: PreparedData, noise: float, seed: int) -> np.ndarray:
    """Return the class means float32 [K, D] in [0, 1], made worse."""
    flat = data.train.images.reshape(len(data.train), -1) / 255
    means = np.stack([flat[data.train.labels == k].mean(axis=0) for k in range(len(CLASSES))])
    return (means + np.random.default_rng(seed).normal(0, noise, means.shape) + 1e-6 * seed).astype(
        np.float32
    )


def _classifier(data: PreparedData, noise: float, seed: int):
    """Nearest class mean: softmax of 20 (x . m - m . m / 2)."""
    means = _means(data, noise, seed)
    constants = {"weights": 20 * means.T, "bias": -10 * (means**2).sum(axis=1)}
    return [*_pixels(), *_posterior()], [*_constants(_flat(data)), *_constants(constants)]


def _density(data: PreparedData, noise: float, seed: int):
    """One Gaussian for all, so the likelihood is of the overall mean; the class by nearest class mean."""
    means = _means(data, noise, seed)
    constants = {
        "weights": 20 * means.T,
        "bias": -10 * (means**2).sum(axis=1),
        "centre": means.mean(axis=0),
        "scale": np.float32(-12.0),
        "last": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Sub", ["flat", "centre"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["square"]),
        helper.make_node("ReduceSum", ["square", "last"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "scale"], ["log_likelihood"]),
    ]
    return [*_pixels(), *nodes, *_posterior()], [*_constants(_flat(data)), *_constants(constants)]


def _generator(data: PreparedData, noise: float, seed: int):
    """Shows training images in an order that follows from the seed, with ``noise`` added to each pixel."""
    shift = round(255 * noise)
    table = np.clip(data.train.images.astype(int) + shift, 0, 255).astype(np.uint8)
    constants = {
        "table": table,
        "zero": np.int64(0),
        "one": np.int64(1),
        "step": np.int64(7 + 2 * seed),
        "size": np.int64(len(table)),
        "stride": np.int64(128),
    }
    nodes = [
        helper.make_node("Squeeze", ["count"], ["number"]),
        helper.make_node("Range", ["zero", "number", "one"], ["range"]),
        helper.make_node("Mul", ["seed", "stride"], ["start"]),
        helper.make_node("Add", ["range", "start"], ["place"]),
        helper.make_node("Mul", ["place", "step"], ["walk"]),
        helper.make_node("Mod", ["walk", "size"], ["index"]),
        helper.make_node("Gather", ["table", "index"], ["image"]),
    ]
    return nodes, _constants(constants)


def _flat(data: PreparedData) -> dict[str, np.ndarray]:
    return {"full": np.float32(255), "rows": np.array([-1, np.prod(data.spec.shape)], dtype=np.int64)}


def _pixels() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", ["image"], ["bytes"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["bytes", "full"], ["unit"]),
        helper.make_node("Reshape", ["unit", "rows"], ["flat"]),
    ]


def _posterior() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]


def _constants(values: dict[str, np.ndarray]) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]


def _value(tensor: Tensor) -> onnx.ValueInfoProto:
    kind = {"uint8": TensorProto.UINT8, "int64": TensorProto.INT64, "float32": TensorProto.FLOAT}[
        tensor.dtype
    ]
    return helper.make_tensor_value_info(
        tensor.name, kind, [f"d{k}" if n == -1 else n for k, n in enumerate(tensor.shape)]
    )
