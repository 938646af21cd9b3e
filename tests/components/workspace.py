"""A small real workspace: data, validation, and bundles with graphs made by hand: no test needs PyTorch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from components import layout, manifest, tasks
from components.bundle import Bundle
from data import atomic
from data.prepared import DataSpec, PreparedData

DATASET = "shapes"
CLASSES = ("bar", "dot", "ring")
SIDE = 4
SIZES = {"train": 60, "validation": 30, "test": 300}
FAMILY_MODELS = {
    "shapes-logreg": {"family": "logreg"},
    "shapes-gmm": {"family": "gmm", "overrides": {"components": 1}},
    "shapes-cnn": {"family": "cnn", "overrides": {"epochs": 10, "least_steps": 10, "widths": [4, 8]}},
    "shapes-vae": {"family": "vae", "overrides": {"epochs": 10, "least_steps": 10, "width": 16, "latents": 4, "draws": 2}},
}
"""Models of every family, small enough to be trained in a test."""
HISTORY = "step,loss,val_accuracy\n1,0.9,\n2,0.5,0.8\n"
FAMILIES = {"classification": "logreg", "density": "gmm", "generation": "vae"}


def make(root: Path) -> None:
    """Write ``params.yaml``, prepared data and a passed validation into ``root``, the working directory."""
    for family in FAMILIES.values():
        atomic.write_text(root / "models" / family / "__init__.py", "")
    atomic.write_text(root / layout.dataset_file(DATASET), "source: packaged\nimage: {height: 4, width: 4, channels: 1}\n")
    write_params({})
    prepare()
    validate()


def write_params(gate: dict, *, names: tuple[str, ...] = ("m",), task: str = "classification") -> None:
    models = {name: {"family": FAMILIES[task], "dataset": DATASET} for name in names}
    atomic.write_text(
        Path("params.yaml"), yaml.safe_dump({"datasets": [DATASET], "models": models, "gate": gate})
    )


def write_families() -> None:
    """Put :data:`FAMILY_MODELS` into ``params.yaml``."""
    for model in FAMILY_MODELS.values():
        atomic.write_text(Path("models") / model["family"] / "__init__.py", "")
    models = {name: {"dataset": DATASET, **model} for name, model in FAMILY_MODELS.items()}
    atomic.write_text(Path("params.yaml"), yaml.safe_dump({"datasets": [DATASET], "models": models}))


def validate(success: bool = True) -> None:
    atomic.write_bytes(layout.ingested(DATASET) / "manifest.parquet", b"a manifest")
    verdict = {
        "success": success,
        "manifest": manifest.fingerprint(layout.ingested(DATASET)),
        "suite": "5" * 64,
    }
    atomic.write_json(layout.validation_file(DATASET), verdict)


def export(name: str = "m", *, task: str = "classification", noise: float = 0.0, seed: int = 0) -> str:
    """Export a model that is the worse the more ``noise`` its weights have; return the bundle's SHA-256."""
    data = PreparedData(layout.prepared(DATASET))
    graph = {"classification": _classifier, "density": _density, "generation": _generator}[task](
        data, noise, seed
    )
    signature = tasks.of(task).signature(data.spec)
    folder = layout.bundle(name)
    with atomic.folder(folder) as temporary:
        (temporary / "1").mkdir()
        inputs, outputs = ([_value(tensor) for tensor in tensors] for tensors in signature)
        nodes, constants = graph
        model = helper.make_model(
            helper.make_graph(nodes, name, inputs, outputs, constants),
            opset_imports=[helper.make_opsetid("", 18)],
        )
        model.ir_version = 9
        onnx.save(model, temporary / "1/model.onnx")
        (temporary / "config.pbtxt").write_text('backend: "onnxruntime"\n')
        golden = {
            f"input/{key}": value for key, value in tasks.of(task).inputs(data, "validation", 1, 4).items()
        }
        save_file(golden, temporary / "golden.safetensors")
        describe(temporary, name, task, data, signature)
        answered = Bundle.open(temporary).predict(
            {key.removeprefix("input/"): v for key, v in golden.items()}
        )
        save_file(
            {**golden, **{f"output/{key}": v for key, v in answered.items()}},
            temporary / "golden.safetensors",
        )
        describe(temporary, name, task, data, signature)
        _evaluate(name, task, Bundle.open(temporary), data)
        metrics = json.loads((layout.evaluated(name) / "metrics.json").read_text())["metrics"]
        describe(temporary, name, task, data, signature, metrics)
    atomic.write_text(layout.trained(name) / "history.csv", HISTORY)
    return hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest()


def describe(
    folder: Path, name: str, task: str, data: PreparedData, signature, metrics: dict | None = None
) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "bundle.json"]
    description = {
        "schema": 1,
        "name": name,
        "family": FAMILIES[task],
        "task": task,
        "dataset": DATASET,
        "inputs": [asdict(tensor) for tensor in signature[0]],
        "outputs": [asdict(tensor) for tensor in signature[1]],
        "image": {
            "height": SIDE,
            "width": SIDE,
            "channels": 1,
            "levels": 256,
            "mode": "L",
            "resample": "BILINEAR",
        },
        "classes": list(data.spec.classes),
        "metrics": metrics or {},
        "parity": {"batches": {"1": {"probabilities": {"difference": 0.0}}}},
        "golden": {"tolerances": {key: t.to_json() for key, t in tasks.of(task).TOLERANCES.items()}},
        "data": data.spec.sha256,
        "params": "1" * 64,
        "code": "2" * 64,
        "sha256": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        },
    }
    atomic.write_json(folder / "bundle.json", description)


def _evaluate(name: str, task: str, bundle: Bundle, data: PreparedData) -> None:
    answers = tasks.of(task).answer(bundle.predict, data)
    measured = tasks.of(task).measure(answers, data).to_json()
    shared = {"task": task, "dataset": DATASET, "num_examples": len(data.test)}
    atomic.write_json(layout.evaluated(name) / "metrics.json", shared | measured)
    atomic.write_bytes(layout.evaluated(name) / "plots" / "confusion.png", b"\x89PNG")


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
            save_file({"images": images, "labels": labels}, folder / f"{split}-00000.safetensors")
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


def _value(tensor: tasks.Tensor) -> onnx.ValueInfoProto:
    kind = {"uint8": TensorProto.UINT8, "int64": TensorProto.INT64, "float32": TensorProto.FLOAT}[
        tensor.dtype
    ]
    return helper.make_tensor_value_info(
        tensor.name, kind, [f"d{k}" if n == -1 else n for k, n in enumerate(tensor.shape)]
    )
