"""Bundles: whole ones answer, damaged ones say what is wrong. Made by hand: no test here needs PyTorch."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file, save_file

from components import tasks
from components.bundles import bundle, onnx_session
from components.bundles.bundle import Bundle
from components.bundles.onnx_session import OnnxGraph
from components.project import layout
from data import atomic, images
from data.errors import UserError
from data.frames import Frame
from data.prepared import PreparedData
from tests import needs
from tests.components import workspace

ROOT = Path(__file__).parents[3]
FILES = ("bundle.json", "config.pbtxt", "golden.safetensors", "1/model.onnx")


@pytest.fixture
def exported(bare_project) -> Path:
    workspace.export("m")
    return layout.bundle("m")


def test_a_whole_bundle_answers(exported):
    opened = Bundle.open(exported)
    opened.check_golden()
    assert (
        opened.sha256
        == bundle.sha256(exported)
        == hashlib.sha256((exported / "bundle.json").read_bytes()).hexdigest()
    )
    test = PreparedData(layout.prepared(workspace.DATASET)).test
    probabilities = opened.predict({"image": test.images})["probabilities"]
    assert probabilities.shape == (300, 3) and (probabilities.argmax(axis=1) == test.labels).mean() > 0.9
    assert opened.graph.providers == ["CPUExecutionProvider"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_truncated_file(exported, name, keep):
    content = (exported / name).read_bytes()
    (exported / name).write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UserError, match=r"was changed or cut|is damaged"):
        Bundle.open(exported)


@pytest.mark.parametrize("name", FILES[1:])
def test_one_changed_bit(exported, name):
    content = bytearray((exported / name).read_bytes())
    content[len(content) // 2] ^= 1
    (exported / name).write_bytes(bytes(content))
    with pytest.raises(UserError, match=f"{name}: was changed or cut"):
        Bundle.open(exported)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(exported, name):
    (exported / name).unlink()
    with pytest.raises(UserError, match=f"{name}.*is missing"):
        Bundle.open(exported)


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="no bundle there"):
        Bundle.open(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["1/model.onnx", "bundle.json"])
def test_a_link(exported, tmp_path, name):
    outside = tmp_path / "outside"
    (exported / name).rename(outside)
    (exported / name).symlink_to(outside)
    with pytest.raises(UserError, match=f"{name}: is a link"):
        Bundle.open(exported)


def test_a_linked_folder(exported, tmp_path):
    (exported / "1").rename(tmp_path / "elsewhere")
    (exported / "1").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(UserError, match="1: is a link"):
        Bundle.open(exported)


def test_a_file_that_is_not_listed(exported):
    (exported / "1/weights.data").write_bytes(b"?")
    with pytest.raises(UserError, match=r"1/weights\.data: is not of this bundle"):
        Bundle.open(exported)


@pytest.mark.parametrize("name", ["../../../secret", "/etc/hostname"])
def test_a_listed_file_outside_of_the_bundle(exported, name):
    _describe(exported, lambda values: values["sha256"].update({name: "0" * 64}))
    with pytest.raises(UserError, match="a bundle's files are"):
        Bundle.open(exported)


@pytest.mark.parametrize(
    "text", ["[]", "null", "{}", '{"schema": 1}', '{"schema": 1, "sha256": 3}', "\x00", "{"]
)
def test_a_description_that_is_none(exported, text):
    (exported / "bundle.json").write_text(text)
    with pytest.raises(UserError, match=r"bundle\.json: is damaged"):
        Bundle.open(exported)


def test_a_description_of_another_schema_or_without_a_key(exported):
    _describe(exported, lambda values: values.update(schema=2))
    with pytest.raises(UserError, match="schema 2; this version of Darkroom reads 1"):
        Bundle.open(exported)
    _describe(exported, lambda values: values.update(schema=1) or values.pop("inputs"))
    with pytest.raises(UserError, match="inputs: is missing"):
        Bundle.open(exported)


@pytest.mark.parametrize(
    ("key", "change"), [("name", "picture"), ("dtype", "float32"), ("shape", [-1, 8, 8, 1])]
)
def test_a_signature_that_is_not_the_graphs(exported, key, change):
    _describe(exported, lambda values: values["inputs"][0].update({key: change}))
    with pytest.raises(UserError, match=r"its inputs are image uint8 .* but must be"):
        Bundle.open(exported)


def test_a_graph_with_external_data(exported):
    # As an export without care would leave it: the weights in a file beside, which is even listed.
    model = onnx.load(exported / "1/model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "weights":
            onnx.external_data_helper.set_external_data(tensor, "../golden.safetensors", 0, 4)
            tensor.ClearField("raw_data")
    (exported / "1/model.onnx").write_bytes(model.SerializeToString())
    _rehash(exported)
    with pytest.raises(UserError, match=r"not a valid ONNX graph|lies in another file"):
        Bundle.open(exported)


def test_external_data_that_the_checker_lets_pass(exported):
    # Hidden in a node's attribute, and the file is there.
    constant = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "hidden")
    onnx.external_data_helper.set_external_data(constant, "model.onnx", 0, 12)
    constant.ClearField("raw_data")
    model = onnx.load(exported / "1/model.onnx")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["unused"], value=constant))
    (exported / "1/model.onnx").write_bytes(model.SerializeToString())
    _rehash(exported)
    with pytest.raises(UserError, match=r"'hidden' lies in another file|not a valid ONNX graph"):
        Bundle.open(exported)


def test_a_graph_of_operations_that_do_not_exist(exported):
    model = onnx.load(exported / "1/model.onnx")
    model.graph.node[0].op_type = "Frobnicate"
    (exported / "1/model.onnx").write_bytes(model.SerializeToString())
    _rehash(exported)
    with pytest.raises(UserError, match="not a valid ONNX graph"):
        Bundle.open(exported)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, r"inputs are \['image'\], not \[\]"),
        ({"picture": np.zeros((1, 4, 4, 1), np.uint8)}, r"not \['picture'\]"),
        ({"image": np.zeros((1, 4, 4, 1), np.float32)}, r"is uint8 \[-1, 4, 4, 1\] .* not float32"),
        ({"image": np.zeros((1, 4, 4, 3), np.uint8)}, r"not uint8 \[1, 4, 4, 3\]"),
        ({"image": np.zeros((4, 4, 1), np.uint8)}, r"not uint8 \[4, 4, 1\]"),
    ],
)
def test_a_request_that_does_not_fit(exported, inputs, told):
    with pytest.raises(UserError, match=told):
        Bundle.open(exported).predict(inputs)


def test_a_gpu_that_is_not_there(exported, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(UserError, match="'cuda': this ONNX Runtime has no CUDAExecutionProvider"):
        Bundle.open(exported, device="cuda")


def test_a_gpu_that_does_not_start_is_not_replaced_in_silence(exported):
    needs.gpu(wanted=False)
    with pytest.raises(UserError, match="'cuda'"):
        Bundle.open(exported, device="cuda")


@pytest.mark.gpu
def test_the_gpu_gives_the_golden_answers(exported):
    needs.gpu(wanted=True)
    opened = Bundle.open(exported, device="cuda")
    assert opened.graph.providers[0] == "CUDAExecutionProvider"
    opened.check_golden()


def test_golden_answers_that_are_wrong(exported):
    tensors = load_file(exported / "golden.safetensors")
    tensors["output/probabilities"] = np.roll(tensors["output/probabilities"], 1, axis=1)
    save_file(tensors, exported / "golden.safetensors")
    _rehash(exported)
    opened = Bundle.open(exported)
    with pytest.raises(UserError, match="golden examples are answered wrong: 'probabilities' is off by"):
        opened.check_golden()


def test_opening_needs_no_pytorch(exported):
    script = f"""
from components.bundles.bundle import Bundle
Bundle.open({str(exported.resolve())!r}).check_golden()
import sys
heavy = {{"torch", "mlflow", "prefect", "dvc", "great_expectations", "pandas", "matplotlib", "pyarrow"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@given(
    mode=st.sampled_from(["L", "RGB", "RGBA", "P", "1", "LA", "CMYK", "I;16"]),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_picture_comes_to_the_input_as_in_training(exported, mode, size, channels, seed):
    noise = np.random.default_rng(seed).integers(0, 256, size=(size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    image = image.convert("L").convert(mode) if mode in ("I;16", "1") else image.convert(mode)
    opened = Bundle.open(exported)
    opened.description["image"] |= {
        "height": 9,
        "width": 7,
        "channels": channels,
        "mode": "L" if channels == 1 else "RGB",
    }
    trained_on = Frame(height=9, width=7, channels=channels).of_image(image)[0]
    np.testing.assert_array_equal(opened.prepare_image(image)[0], trained_on)


def test_a_picture_is_turned_as_its_exif_says(exported, tmp_path):
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4) * 16)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    image.save(tmp_path / "turned.png", exif=exif)
    upright = images.decode((tmp_path / "turned.png").read_bytes())[0]
    prepared = Bundle.open(exported).prepare_image(Image.open(tmp_path / "turned.png"))
    np.testing.assert_array_equal(prepared[0, :, :, 0], np.asarray(upright))
    assert not np.array_equal(np.asarray(upright), np.asarray(image))


def test_the_bytes_that_were_hashed_are_those_that_run(exported, monkeypatch):
    # A file exchanged between the hash and the start of the session must not come in.
    start = onnx_session._session

    def exchange(path, content, device, threads):
        path.write_bytes(b"something else")
        return start(path, content, device, threads)

    asked = {"image": np.zeros((2, 4, 4, 1), np.uint8)}
    expected = Bundle.open(exported).predict(asked)["probabilities"]
    monkeypatch.setattr(onnx_session, "_session", exchange)
    opened = Bundle.open(exported)
    assert (exported / "1/model.onnx").read_bytes() == b"something else"
    np.testing.assert_array_equal(opened.predict(asked)["probabilities"], expected)


def test_the_graph_alone(exported):
    content = (exported / "1/model.onnx").read_bytes()
    spec = PreparedData(layout.prepared(workspace.DATASET)).spec
    inputs, outputs = tasks.of("classification").signature(spec)
    graph = OnnxGraph(exported / "1/model.onnx", content, inputs, outputs, threads=2)
    assert graph.predict({"image": np.zeros((5, 4, 4, 1), np.uint8)})["probabilities"].shape == (5, 3)


def _describe(folder: Path, change) -> None:
    values = json.loads((folder / "bundle.json").read_text())
    change(values)
    atomic.write_json(folder / "bundle.json", values)


def _rehash(folder: Path) -> None:
    def hashes(values: dict) -> None:
        values["sha256"] = {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in values["sha256"]
        }

    _describe(folder, hashes)
