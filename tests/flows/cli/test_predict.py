"""``darkroom predict`` and ``darkroom generate``: what they print and write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from data.errors import UserError
from flows.cli import predict
from flows.workspace import project
from tests.components.serving import bundles
from tests.flows.cli import command

ROOT = Path(__file__).parents[3]
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 4), dtype=np.uint8)


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "CALLED_FROM", tmp_path)
    for kind in bundles.SIGNATURES:
        bundles.write(tmp_path / kind, kind, name=kind)
    for name, pixels in zip(("a.png", "b.png"), PIXELS, strict=True):
        Image.fromarray(pixels).save(name)
    app = typer.Typer()
    predict.add_to(app)
    return partial(command.call, app)


def test_a_line_for_each_picture(call):
    sums = PIXELS.sum(axis=(1, 2), dtype=np.int64)
    lines = call("predict", "classification", "a.png", "b.png").splitlines()
    assert lines == [
        f"{name}  bar {total}.000  dot 0.000  ring 0.000"
        for name, total in zip(("a.png", "b.png"), sums, strict=True)
    ]
    assert "bits per dimension" in call("predict", "density", "a.png")
    assert call("predict", "detection", "a.png") == "a.png  dot 0.750 [1 2 3 4]  bar 0.500 [0 0 4 4]\n"
    assert call("predict", "transcription", "a.png") == f"a.png  {sums[0]}  {sums[0]}.000\n"


def test_json(call):
    told = json.loads(call("predict", "density", "a.png", "b.png", "--json"))
    assert (told["name"], told["task"], len(told["answers"])) == ("density", "density", 2)
    assert told["answers"][1]["image"] == "b.png"
    assert told["answers"][1]["log_likelihood"] == pytest.approx(float(PIXELS[1].sum(dtype=np.int64)))


def test_pictures_are_written_to_a_file_or_a_folder(call):
    call("predict", "translation", "a.png", "--out", "one.png")
    np.testing.assert_array_equal(np.asarray(Image.open("one.png")), PIXELS[0])
    told = json.loads(call("predict", "translation", "a.png", "b.png", "--out", "made", "--json"))
    assert [Path(file).name for file in told["files"]] == ["a.png", "b.png"]
    np.testing.assert_array_equal(np.asarray(Image.open("made/b.png")), PIXELS[1])


def test_a_face_is_moved(call):
    Path("points.json").write_text(json.dumps([[0.5, 0.5]] * 5))
    call("predict", "reenactment", "a.png", "--landmarks", "points.json", "--out", "moved.png")
    np.testing.assert_array_equal(np.asarray(Image.open("moved.png")), PIXELS[0])


def test_a_prompt_is_drawn_by_an_edge_map(call):
    asked = ["--prompt", "A big RING", "--seed", "3", "--out", "made"]
    call("predict", "controlled_generation", "a.png", "b.png", *asked)
    for name, pixels in zip(("a.png", "b.png"), PIXELS, strict=True):
        given = {"prompt": np.array(["a big ring"], dtype=object), "seed": np.array([3])}
        expected = bundles.answers("controlled_generation", given | {"image": pixels[None, ..., None]})[
            "drawn"
        ]
        np.testing.assert_array_equal(np.asarray(Image.open(f"made/{name}")), expected[0, ..., 0])


def test_images_are_drawn_on_a_sheet_or_each_for_itself(call):
    call("generate", "conditional", "--seed", "3", "--count", "4", "--label", "ring")
    assert np.asarray(Image.open("made.png"))[::4, ::4].ravel().tolist() == [5, 6, 7, 8]
    Path("made").mkdir()
    call("generate", "conditional", "--seed", "3", "--count", "2", "--out", "made")
    names = [f"conditional-3-{place:04d}.png" for place in range(2)]
    assert sorted(path.name for path in Path("made").iterdir()) == names


def test_images_of_a_prompt_are_drawn(call):
    call("generate", "text_to_image", "--prompt", "A big, RING!", "--seed", "3", "--count", "4")
    drawn = np.asarray(Image.open("made.png"))[::4, ::4].ravel().tolist()
    given = {"prompt": np.array(["a big ring"] * 4, dtype=object), "seed": np.array([3])}
    assert drawn == bundles.answers("text_to_image", given)["image"][:, 0, 0, 0].tolist()
    call("generate", "text_to_image", "--prompt", "", "--seed", "3")
    assert np.asarray(Image.open("made.png"))[0, 0] == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["predict", "translation", "a.png"], "say where they go by --out"),
        (["predict", "translation", "a.png", "--out", "made.jpg"], "written as PNG"),
        (["predict", "classification", "c.png"], "c.png: cannot be read"),
        (["predict", "conditional", "a.png"], "darkroom generate conditional"),
        (["predict", "reenactment", "a.png", "--out", "m.png"], "needs --landmarks FILE"),
        (
            ["predict", "reenactment", "a.png", "--landmarks", "a.png", "--out", "m.png"],
            "no JSON can be read",
        ),
        (["generate", "classification"], "is for image-classification. Ask it by: darkroom predict"),
        (["predict", "text_to_image", "a.png"], "darkroom generate text_to_image --prompt TEXT"),
        (["generate", "text_to_image"], "draws what a prompt says: give it one. Its words are: a, bar"),
        (
            ["generate", "text_to_image", "--prompt", "a rnig"],
            "not know, 'rnig'. Did you mean 'ring'? It can be: a",
        ),
        (["generate", "text_to_image", "--prompt", "a big big ring"], "has 4 words; it reads at most 3"),
        (["generate", "conditional", "--prompt", "a ring"], "reads no prompt"),
        (["generate", "conditional", "--label", "rnig"], "Did you mean 'ring'?"),
    ],
)
def test_mistakes_are_told(call, arguments, told):
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert told in str(error.value)


def test_a_folder_is_asked_outside_of_every_project_and_a_name_is_not(call):
    command = [sys.executable, "-m", "flows", "predict"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for model, code, told in (
        ("density", 0, "bits per dimension"),
        ("m", 2, "no Darkroom project here or above"),
    ):
        done = subprocess.run([*command, model, "a.png"], capture_output=True, text=True, env=environment)
        assert (done.returncode, told in done.stdout + done.stderr) == (code, True), done.stderr
