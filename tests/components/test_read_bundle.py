"""docs/examples/read_bundle.py does with ONNX Runtime, NumPy and Pillow alone what the project does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.bundles.bundle import Bundle
from components.project import layout
from data.prepared import PreparedData
from tests.components import workspace

SCRIPT = Path(__file__).parents[2] / "docs/examples/read_bundle.py"

# In isolated mode: neither this folder nor the environment's variables are looked into.
RUN = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
ours = {name.split(".")[0] for name in sys.modules}
foreign = ours & {"torch", "onnx", "components", "models", "data", "flows", "safetensors", "pandas", "mlflow"}
assert not foreign, foreign
"""


@pytest.mark.parametrize("name", ["shapes-logreg", "shapes-cnn", "shapes-gmm"])
def test_classifies_an_image_file(measured, name):
    image = PreparedData(layout.prepared(workspace.DATASET)).test.images[0]
    Image.fromarray(np.kron(image[:, :, 0], np.ones((9, 9), np.uint8))).convert("RGB").save(
        "picture.webp", lossless=True
    )
    printed = _run(layout.bundle(name), "picture.webp").splitlines()
    bundle = Bundle.open(layout.bundle(name))
    answers = bundle.predict({"image": bundle.prepare_image(Image.open("picture.webp"))})
    best = int(answers["probabilities"][0].argmax())
    first = printed[1] if "log_likelihood" in answers else printed[0]
    assert first == f"{workspace.CLASSES[best]}  {answers['probabilities'][0, best]:.3f}"
    if "log_likelihood" in answers:
        assert printed[0] == f"log-likelihood {answers['log_likelihood'][0]:.1f} nats"


def test_draws_images_of_a_seed(measured):
    _run(layout.bundle("shapes-vae"), "grid.png", "--seed", "3", "--count", "10")
    request = {"seed": np.array([3]), "count": np.array([10])}
    images = Bundle.open(layout.bundle("shapes-vae")).predict(request)["image"]
    sheet = np.asarray(Image.open("grid.png"))
    cell = 4 * 6 + 4
    assert sheet.shape == (2 * cell, 8 * cell)
    for k, image in enumerate(images):
        top, left = k // 8 * cell + 2, k % 8 * cell + 2
        np.testing.assert_array_equal(sheet[top : top + 24 : 6, left : left + 24 : 6], image[:, :, 0])


def test_draws_images_of_a_class(measured):
    bundle = Bundle.open(layout.bundle("shapes-vae-by-class"))
    for wanted, label in ((["--class", workspace.CLASSES[1]], 1), ([], -1)):
        _run(layout.bundle("shapes-vae-by-class"), "grid.png", "--count", "8", *wanted)
        request = {"seed": np.array([0]), "count": np.array([8]), "label": np.array([label])}
        images = bundle.predict(request)["image"]
        sheet = np.asarray(Image.open("grid.png"))
        for k, image in enumerate(images):
            left = k * (4 * 6 + 4) + 2
            np.testing.assert_array_equal(sheet[2:26:6, left : left + 24 : 6], image[:, :, 0])


@pytest.mark.parametrize(
    ("name", "wanted", "told"),
    [
        ("shapes-vae", "dot", "shapes-vae draws no images by class"),
        ("shapes-vae-by-class", "dott", "must be one of bar, dot, ring"),
    ],
)
def test_a_class_that_cannot_be_drawn(measured, name, wanted, told):
    command = [sys.executable, str(SCRIPT), str(layout.bundle(name)), "grid.png", "--class", wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and told in done.stderr and not Path("grid.png").exists()


def _run(*arguments: object) -> str:
    command = [sys.executable, "-I", "-c", RUN, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
