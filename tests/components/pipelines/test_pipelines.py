"""pipeline() answers alike from a folder, the registry and a server, and tells mistakes."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from components import register
from components.pipelines import pipeline
from components.registry import versions
from components.serving.http import tokens
from data.errors import UserError
from tests.components import workspace
from tests.components.serving import bundles
from tests.components.serving.server import Server

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)


@pytest.fixture(params=["folder", "server"])
def opened(request, served, monkeypatch):
    """Return what opens a pipeline on a bundle of a kind, in its folder or at the server."""

    def make(task, kind):
        if request.param == "folder":
            return pipeline(task, model=served.folder / f"shapes-{kind}")
        return pipeline(task, model=f"shapes-{kind}@champion", url=f"http://127.0.0.1:{served.port}/")

    return make


def test_classifies_as_transformers_does(opened):
    classify = opened("image-classification", "classification")
    expected = bundles.answers("classification", {"image": PIXELS[..., None]})["probabilities"]
    one = classify(PIXELS[0])
    assert one[0] == {"label": "bar", "score": pytest.approx(expected[0, 0])} and len(one) == 3
    several = classify(list(PIXELS), top_k=1)
    assert [best["score"] for (best,) in several] == pytest.approx(expected[:, 0].tolist())


def test_takes_a_path_bytes_an_image_or_an_array(opened, tmp_path):
    classify = opened(None, "classification")
    file = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(file, "PNG")
    (tmp_path / "picture.png").write_bytes(file.getvalue())
    pictures = [
        tmp_path / "picture.png",
        str(tmp_path / "picture.png"),
        file.getvalue(),
        Image.fromarray(PIXELS[0]),
    ]
    found = classify([*pictures, PIXELS[0], PIXELS[0][..., None]])
    assert all(answer == found[0] for answer in found)


def test_a_density_tells_its_likelihood_or_classifies(opened):
    told = opened("density", "density")(PIXELS[0])
    assert set(told) == {"scores", "log_likelihood", "bits_per_dim"}
    assert told["log_likelihood"] == pytest.approx(float(PIXELS[0].sum(dtype=np.int64)))
    assert opened("image-classification", "density")(PIXELS[0]) == told["scores"]


def test_translates(opened):
    translate = opened("image-to-image", "translation")
    np.testing.assert_array_equal(np.asarray(translate(PIXELS[0])), PIXELS[0])
    assert [image.size for image in translate(list(PIXELS))] == [(4, 4)] * 3


def test_detects_segments_and_reads_as_transformers_does(opened):
    (surest, _) = opened("object-detection", "detection")(np.zeros((40, 80), np.uint8))
    assert surest == {"label": "dot", "score": 0.75, "box": {"xmin": 20, "ymin": 20, "xmax": 60, "ymax": 40}}
    segment = opened("image-segmentation", "segmentation")
    for found in segment(PIXELS[0]):
        wanted = PIXELS[0] % 4 == bundles.CLASSES.index(found["label"]) + 1
        np.testing.assert_array_equal(np.asarray(found["mask"]), np.where(wanted, 255, 0))
    (whole,) = segment(np.full((8, 12), 2, np.uint8))
    assert (whole["label"], whole["score"], whole["mask"].size) == ("dot", None, (12, 8))
    text = str(PIXELS[0].sum(dtype=np.int64))
    assert opened("image-to-text", "transcription")(PIXELS[0]) == [{"generated_text": text}]


def test_shows_a_person_with_landmarks(opened):
    moved = opened("image-to-image", "reenactment")(PIXELS[0], landmarks=[[0.5, 0.5]] * 5)
    np.testing.assert_array_equal(np.asarray(moved), PIXELS[0])


def test_draws_a_prompt_by_edge_maps(opened):
    paint = opened("image-to-image", "controlled_generation")
    given = {"prompt": np.array(["big ring"], dtype=object), "seed": np.array([3])}
    drawn = paint(list(PIXELS[:2]), prompt="Big ring!", seed=3)
    for pixels, image in zip(PIXELS[:2], drawn, strict=True):
        expected = bundles.answers("controlled_generation", given | {"image": pixels[None, ..., None]})[
            "drawn"
        ]
        np.testing.assert_array_equal(np.asarray(image), expected[0, ..., 0])


def test_draws(opened):
    images = opened("unconditional-image-generation", "conditional")(seed=3, count=4, label="dot")
    assert [int(np.asarray(image)[0, 0]) for image in images] == [4, 5, 6, 7]


def test_draws_what_a_text_says(opened):
    paint = opened("text-to-image", "text_to_image")

    def levels(text):
        given = {"prompt": np.array([text] * 2, dtype=object), "seed": np.array([3])}
        return bundles.answers("text_to_image", given)["image"][:, 0, 0, 0].tolist()

    assert [int(np.asarray(image)[0, 0]) for image in paint("Ring, a", seed=3, count=2)] == levels("ring a")
    several = paint(["a dot", ""], seed=3, count=2)
    assert [[int(np.asarray(image)[0, 0]) for image in one] for one in several] == [
        levels("a dot"),
        levels(""),
    ]


def test_more_pictures_than_are_computed_at_once(served):
    many = np.random.default_rng(1).integers(0, 256, (70, 4, 4), dtype=np.uint8)
    found = pipeline(model=served.folder / "shapes-classification")(list(many), top_k=1)
    expected = bundles.answers("classification", {"image": many[..., None]})["probabilities"][:, 0]
    assert [best["score"] for (best,) in found] == pytest.approx(expected.tolist())


def test_versions_of_the_registry(sqlite_project):
    workspace.write_params({"m": {"thresholds": {}}})
    shas = []
    for seed in (0, 1):
        workspace.export(seed=seed)
        shas.append(register.run("m").bundle_sha256)
    versions.point("m", "champion", 1)
    models = {"m": 0, "m@champion": 0, "m@challenger": 1, "m@2": 1, "m/2": 1, "models:/m/1": 0}
    for model, place in models.items():
        asked = pipeline("image-classification", model=model)
        assert (asked.source.version, asked.source.bundle.sha256) == (str(place + 1), shas[place])
    for model, told in {
        "n": "n: no registered model of that name. It can be: m.",
        "m/3": "m: has no version 3. It can be: 1, 2",
        "m@champoin": "m: has no champoin. Did you mean 'champion'?",
        "no/such/folder": "Nor is it a folder that holds a bundle",
    }.items():
        with pytest.raises(UserError) as error:
            pipeline(model=model)
        assert told in str(error.value)


@pytest.mark.parametrize(
    ("task", "kind", "inputs", "told"),
    [
        ("image-clasification", "classification", [], "Did you mean 'image-classification'?"),
        ("image-classification", "generation", [], "is for unconditional-image-generation, not for image-cl"),
        (None, "generation", [PIXELS[0]], "takes a seed and no pictures"),
        (None, "classification", [], "give it a picture"),
        (None, "text_to_image", [], "give it one"),
        (None, "text_to_image", ["a bat"], "does not know, 'bat'. Did you mean 'bar'?"),
        (None, "text_to_image", [PIXELS], "takes a text, or a list of them"),
        (None, "classification", ["nowhere.png"], "nowhere.png: cannot be read: No such file or directory"),
        (None, "classification", [b"no picture"], "not a JPEG, PNG or WebP image"),
        (None, "classification", [3.5], "a picture is a path, bytes, a Pillow image or an array, not float"),
        (
            None,
            "classification",
            [np.zeros((4, 4))],
            r"a picture's array is uint8 [H, W] or [H, W, 3], not float64",
        ),
        (None, "reenactment", [PIXELS[0]], "needs landmarks"),
        (None, "controlled_generation", [PIXELS[0]], "draws what a prompt says: give it one"),
    ],
)
def test_mistakes_are_told(opened, task, kind, inputs, told):
    with pytest.raises(UserError) as error:
        opened(task, kind)(*inputs)
    assert told in str(error.value)


def test_mistakes_of_addresses_are_told(served):
    url = f"http://127.0.0.1:{served.port}"
    for model, address, told in (
        ("shapes-densty", url, "Did you mean 'shapes-density'?"),
        ("m", "127.0.0.1:80", "is no address of a server"),
        ("m", "http://127.0.0.1:9", "no server of darkroom answers there"),
    ):
        with pytest.raises(UserError) as error:
            pipeline(model=model, url=address)
        assert told in str(error.value)


def test_a_token_is_given_or_taken_from_the_environment(tmp_path, monkeypatch):
    token = tokens.make(tmp_path / "tokens.json", "ada", "read")
    bundles.write(tmp_path / "m", name="m")
    settings = {"bundles": {"m": str(tmp_path / "m")}, "tokens": str(tmp_path / "tokens.json")}
    with Server(tmp_path, worker=settings) as server:
        url = f"http://127.0.0.1:{server.port}"
        with pytest.raises(UserError, match=r"access refused \(401\)\. Give a token, or set DARKROOM_TOKEN"):
            pipeline(model="m", url=url)
        assert pipeline(model="m", url=url, token=token)(PIXELS[0])
        monkeypatch.setenv("DARKROOM_TOKEN", token)
        assert pipeline(model="m", url=url)(PIXELS[0])


def test_needs_no_pytorch(served):
    script = "import sys; from components.pipelines import pipeline; pipeline(model=sys.argv[1]);"
    script += "print({'torch', 'mlflow', 'prefect', 'pandas', 'sklearn'} & set(sys.modules))"
    command = [sys.executable, "-c", script, served.folder / "shapes-classification"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"
