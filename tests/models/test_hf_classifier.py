"""Fine-tuning: transformers reads what we write and answers the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import models
from components.bundles import onnx_export
from components.tasks import classification
from data.errors import UserError
from data.prepared import PreparedData
from models import checkpoint
from models.blocks.pixels import unit
from models.hf_classifier.processor import Processor
from tests.models import tiny
from tests.models.hf_bases import FAMILY, NAMES, SHORT, train, write_base

LEVEL = 0.0 if torch.backends.cpu.get_cpu_capability() != "DEFAULT" else 2 / 255
"""How far PyTorch's resizing of uint8 may be from ours, in standardised pixels: without AVX2 it computes in floating
point and is a level away in places; with AVX2 both are in fixed point, and agree.
"""


@pytest.fixture(scope="module")
def own(digits):
    """The own base, briefly trained and fine-tuned."""
    return train(digits, **SHORT)


def files(folder: Path, data: PreparedData, count: int = 6) -> list[Path]:
    """Write test images as PNG files."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for path, image in zip(paths, data.test.images, strict=False):
        Image.fromarray(image.squeeze()).save(path)
    return paths


def pipeline_scores(folder: Path, paths: list[Path], classes: tuple[str, ...]) -> np.ndarray:
    """Return float [N, K] by ``transformers.pipeline`` on image files."""
    from transformers import pipeline

    answers = pipeline("image-classification", model=str(folder), device="cpu")(
        [str(path) for path in paths], top_k=len(classes)
    )
    return np.array(
        [[{row["label"]: row["score"] for row in answer}[name] for name in classes] for answer in answers]
    )


def onnx_scores(model, images: np.ndarray, data: PreparedData) -> np.ndarray:
    """Return float [N, K] by the exported graph in ONNX Runtime."""
    inputs, outputs = classification.signature(data.spec)
    graph = models.family(FAMILY).graph(model)
    content = onnx_export.convert(graph, inputs, outputs, {"image": images[:2]})
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


def test_pipeline_reads_the_folder_and_scores_as_the_graph(own, digits, tmp_path):
    model, _ = own
    folder = tmp_path / "huggingface"
    models.family(FAMILY).save_pretrained(model, folder)
    scores = pipeline_scores(folder, files(tmp_path, digits), NAMES)
    with torch.no_grad():
        ours = models.family(FAMILY).graph(model)(torch.from_numpy(digits.test.images[:6]))
    np.testing.assert_allclose(ours.numpy(), scores, atol=1e-5)
    np.testing.assert_allclose(onnx_scores(model, digits.test.images[:6], digits), scores, atol=1e-5)


def test_a_named_base_scores_as_pipeline_after_resizing(base, digits, tmp_path):
    model, _ = train(digits, base=str(base), **SHORT)
    folder = tmp_path / "huggingface"
    models.family(FAMILY).save_pretrained(model, folder)
    scores = pipeline_scores(folder, files(tmp_path, digits), NAMES)
    np.testing.assert_allclose(
        onnx_scores(model, digits.test.images[:6], digits), scores, atol=1e-5 + LEVEL / 100
    )


def test_the_folder_is_the_same_again_and_names_no_place(own, tmp_path):
    model, _ = own
    contents = []
    for name in ("once", "again"):
        models.family(FAMILY).save_pretrained(model, tmp_path / name)
        contents.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"config.json", "model.safetensors", "preprocessor_config.json"}
    config = json.loads(contents[0]["config.json"])
    assert config["id2label"] == {str(number): name for number, name in enumerate(NAMES)}
    assert config["label2id"] == {name: number for number, name in enumerate(NAMES)}
    assert not {"_name_or_path", "transformers_version"} & set(config)


PROCESSORS = [
    {"size": {"height": 12, "width": 16}},
    {"size": {"height": 5, "width": 4}},
    {"size": {"height": 8, "width": 8}, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]},
    {"size": {"height": 19, "width": 13}, "resample": 3},
    {"size": {"shortest_edge": 20}, "do_center_crop": True, "crop_size": {"height": 15, "width": 16}},
    {"size": {"height": 12, "width": 12}, "do_normalize": False},
    {"do_resize": False, "do_rescale": False},
]


@pytest.mark.parametrize("settings", PROCESSORS)
def test_the_graph_processes_as_the_image_processor(settings, digits):
    from transformers import ViTImageProcessor

    processor = ViTImageProcessor(**settings)
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    colour[:4] = np.repeat(digits.test.images[:4], 3, axis=-1)
    theirs = processor(list(colour), return_tensors="pt")["pixel_values"]
    spec = type(digits.spec)(**digits.spec.to_json() | {"channels": 3})
    ours = Processor(json.loads(processor.to_json_string()), spec, 3)(unit(torch.from_numpy(colour)))
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, atol=1e-5 + LEVEL, rtol=1e-5)


def test_a_checkpoint_needs_no_base_folder(digits, tmp_path):
    folder = write_base(tmp_path / "base", ("a", "b"))
    overrides = {"base": str(folder), **SHORT}
    model, run = train(digits, **overrides)
    (tmp_path / "saved").mkdir()
    tiny.save(tmp_path / "saved", FAMILY, model.config, digits, model, run)
    folder.rename(tmp_path / "elsewhere")
    loaded = checkpoint.load(tmp_path / "saved")
    images = torch.from_numpy(digits.test.images[:5])
    with torch.no_grad():
        assert torch.equal(loaded.family.graph(loaded.model)(images), loaded.family.graph(model)(images))


def test_a_cached_hub_name_is_a_folder(digits, base, tmp_path, monkeypatch):
    from huggingface_hub import constants

    repository = tmp_path / "models--someone--letters"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    for file in base.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model, _ = train(digits, base="someone/letters", **SHORT)
    assert model.config.pretrained.config["model_type"] == "vit"
    with pytest.raises(UserError, match="Did you mean 'someone/letters'"):
        train(digits, base="someone/leters", **SHORT)


def test_importing_the_family_imports_no_transformers():
    script = "import models, sys; models.family('hf_classifier'); print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
