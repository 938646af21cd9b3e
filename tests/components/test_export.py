"""The export stage on real families: bundles that agree, the same bytes anywhere, nothing without parity."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from components import export, tasks
from components.bundles import onnx_export
from components.bundles.bundle import Bundle
from components.bundles.signature import Tensor
from components.export import hash_code
from components.project import layout
from components.trained.torch_model import arguments
from data.errors import UserError
from data.prepared import PreparedData
from models import checkpoint
from tests.components import workspace

ROOT = Path(__file__).parents[2]
NAMES = sorted(workspace.FAMILY_MODELS)


@pytest.mark.parametrize("name", NAMES)
def test_the_bundle_is_whole(measured, name):
    bundle = Bundle.open(layout.bundle(name))
    bundle.check_golden()
    described = bundle.description
    task = tasks.of(described["task"], [tensor["name"] for tensor in described["inputs"]])
    inputs, outputs = task.signature(PreparedData(layout.prepared(workspace.DATASET)).spec)
    assert [tensor["name"] for tensor in described["inputs"]] == [tensor.name for tensor in inputs]
    assert [tensor["name"] for tensor in described["outputs"]] == [tensor.name for tensor in outputs]
    batches = described["parity"]["batches"]
    computed = {tensor.name for tensor in outputs}
    assert {batch: set(found) for batch, found in batches.items()} == dict.fromkeys("127", computed)
    metrics = json.loads((layout.evaluated(name) / "metrics.json").read_text())["metrics"]
    assert described["metrics"] == metrics
    for metric, values in described["parity"]["metrics"].items():
        assert values["pytorch"] == metrics[metric]["value"]
    assert all(len(described[key]) == 64 for key in ("data", "params", "code"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 3, 19])
def test_any_batch_agrees_with_pytorch(measured, name, batch):
    trained = checkpoint.load(layout.trained(name))
    data = PreparedData(layout.prepared(workspace.DATASET))
    graph = trained.family.graph(trained.model)
    task = tasks.of(trained.family.TASK, arguments(graph))
    request = task.inputs(data, "test", 5, batch)
    with torch.inference_mode():
        expected = graph(**{k: torch.from_numpy(v) for k, v in request.items()})
    expected = (expected,) if isinstance(expected, torch.Tensor) else expected
    answers = Bundle.open(layout.bundle(name)).predict(request)
    for (output, answer), reference in zip(answers.items(), expected, strict=True):
        assert answer.shape == tuple(reference.shape) and len(answer) == batch
        _, excess = task.TOLERANCES[output].compare(answer, reference.numpy())
        assert excess <= 1


def apart(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.abs(images.astype(int) - others)


def near(images: np.ndarray, others: np.ndarray) -> None:
    """Demand that images of batches of two sizes are the same, but for a level where a half rounds either way.

    Another size may be another kernel's, and which is whose depends on the processor.
    """
    assert len(images) == len(others) and apart(images, others).max() <= 1


def test_a_seed_gives_its_images_whatever_the_count(measured):
    bundle = Bundle.open(layout.bundle("shapes-vae"))

    def draw(seed: int, count: int) -> np.ndarray:
        return bundle.predict({"seed": np.array([seed]), "count": np.array([count])})["image"]

    many = draw(7, 20)
    near(draw(7, 3), many[:3])
    assert (apart(draw(8, 20), many) > 1).any()
    assert draw(-(2**63), 2).shape == (2, 4, 4, 1) and draw(7, 0).shape == (0, 4, 4, 1)


def test_a_conditional_bundle_draws_the_class_that_is_asked_for(measured):
    bundle = Bundle.open(layout.bundle("shapes-vae-by-class"))
    assert [tensor["name"] for tensor in bundle.description["inputs"]] == ["seed", "count", "label"]
    golden, _ = bundle.golden()
    assert golden["label"] == -1

    def draw(count: int, label: int) -> np.ndarray:
        request = {"seed": np.array([7]), "count": np.array([count]), "label": np.array([label])}
        return bundle.predict(request)["image"]

    every = draw(9, -1)
    near(draw(4, -1), every[:4])
    for k in range(len(workspace.CLASSES)):
        np.testing.assert_array_equal(draw(9, k)[k::3], every[k::3])
        assert not np.array_equal(draw(9, k), every)


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_says_nothing_of_where_it_was_made(measured, name):
    content = (layout.bundle(name) / "1/model.onnx").read_bytes()
    for word in (str(ROOT), "site-packages", "stack_trace", ".py", str(measured)):
        assert word.encode() not in content
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert not model.functions and [opset.domain for opset in model.opset_import] == [""]


def test_the_same_bytes_again_in_another_process_and_place(measured, tmp_path):
    other = tmp_path / "elsewhere" / "project"
    shutil.copytree(measured, other)
    shutil.rmtree(other / layout.bundle("shapes-vae"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "components.export", "shapes-vae"]
    subprocess.run(command, cwd=other, env=environment, check=True)
    assert _bytes(other / layout.bundle("shapes-vae")) == _bytes(layout.bundle("shapes-vae"))


def test_files_can_be_read_by_another_user(measured):
    # A server runs as someone else: temporary files' narrow modes must not stay.
    mask = os.umask(0)
    os.umask(mask)
    for path in layout.bundle("shapes-vae").rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o777 == 0o666 & ~mask, path


@pytest.mark.parametrize(
    ("name", "output"), [("shapes-cnn", "probabilities"), ("shapes-gmm", "log_likelihood")]
)
def test_a_graph_that_disagrees_is_not_exported(measured, monkeypatch, name, output):
    monkeypatch.setattr(export, "convert", _tampered(name))
    before = _bytes(layout.bundle(name))
    with pytest.raises(UserError, match=rf"{name}: .*at batch \d: parity failed: .* differ by"):
        export.run(name)
    assert _bytes(layout.bundle(name)) == before
    assert not [path for path in layout.bundle(name).parent.iterdir() if path.name.startswith(".")]


def test_a_generator_that_disagrees_is_not_exported(measured, monkeypatch):
    monkeypatch.setattr(export, "convert", _tampered("shapes-vae"))
    shutil.rmtree(layout.bundle("shapes-vae"))
    with pytest.raises(UserError, match=r"shapes-vae: 'image' at batch \d: parity failed"):
        export.run("shapes-vae")
    assert not layout.bundle("shapes-vae").exists()


def test_a_graph_that_was_not_the_measured_one_is_not_exported(measured, monkeypatch):
    content = (layout.bundle("shapes-logreg") / "1/model.onnx").read_bytes()
    monkeypatch.setattr(export, "convert", lambda *_: content)
    file = layout.evaluated("shapes-logreg") / "metrics.json"
    measured_ = json.loads(file.read_text())
    measured_["metrics"]["accuracy"] |= {"value": 0.5, "low": 0.45, "high": 0.55}
    file.write_text(json.dumps(measured_))
    with pytest.raises(
        UserError, match=r"accuracy on the test split is .* by ONNX Runtime and 0.5 by PyTorch"
    ):
        export.run("shapes-logreg")


def test_evaluate_comes_first(measured):
    shutil.rmtree(layout.evaluated("shapes-logreg"))
    with pytest.raises(UserError, match="Run the evaluate stage first"):
        export.run("shapes-logreg")


def test_code_hash_follows_the_family_and_not_the_list_of_families(tmp_path):
    shutil.copytree(ROOT / "models", tmp_path / "models")
    before = hash_code("cnn", tmp_path)
    for unrelated in ("models/registry.py", "models/vae/network.py"):
        _append(tmp_path / unrelated)
    assert hash_code("cnn", tmp_path) == before == hash_code("cnn", ROOT)
    for own in ("models/cnn/network.py", "models/blocks/loop.py", "models/run.py"):
        earlier = hash_code("cnn", tmp_path)
        _append(tmp_path / own)
        assert hash_code("cnn", tmp_path) != earlier, own


def test_triton_is_told_the_signature(measured):
    text = (layout.bundle("shapes-vae") / "config.pbtxt").read_text()
    assert 'backend: "onnxruntime"' in text and "max_batch_size: 0" in text
    assert '{ name: "seed" data_type: TYPE_INT64 dims: [ 1 ] }' in text
    assert '{ name: "image" data_type: TYPE_UINT8 dims: [ -1, 4, 4, 1 ] }' in text


def test_what_onnx_lacks_is_told():
    class Sorted(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(image.float()[..., 0]).real

    tensor = Tensor("image", "uint8", (-1, 4, 4, 1))
    output = Tensor("probabilities", "float32", (-1, 4))
    with pytest.raises(UserError, match="cannot be exported to ONNX"):
        onnx_export.convert(Sorted(), [tensor], [output], {"image": np.zeros((2, 4, 4, 1), np.uint8)})


def _tampered(name: str):
    """Return a conversion whose graph has other weights than the model: no test of what then happens traces it anew."""
    model = onnx.load(layout.bundle(name) / "1/model.onnx")
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) >= 2:
            values = 1.5 * onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return lambda *_: model.SerializeToString()


def _append(path: Path) -> None:
    path.write_text(path.read_text() + "\n# changed\n")


def _bytes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
