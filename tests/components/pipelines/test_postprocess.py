"""What people give becomes what graphs take, and answers survive the way through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from components.pipelines import parameters, postprocess
from components.pipelines.tasks import detection, generation
from data.errors import UserError

GENERATOR = {
    "name": "g",
    "task": "generation",
    "classes": ["bar", "dot"],
    "inputs": [{"name": name} for name in ("seed", "count", "label")],
}


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 5))
def test_a_sheet_holds_every_image_in_its_order(count, width, height):
    images = [Image.fromarray(np.full((height, width), k + 1, np.uint8)) for k in range(count)]
    sheet = np.asarray(postprocess.sheet(images))
    columns, rows = sheet.shape[1] // width, sheet.shape[0] // height
    assert (columns - 1) ** 2 < count <= columns**2 and columns * (rows - 1) < count <= columns * rows
    cells = sheet.reshape(rows, height, columns, width).transpose(0, 2, 1, 3).reshape(rows * columns, -1)
    assert (cells == np.array([*range(1, count + 1), *[0] * (rows * columns - count)])[:, None]).all()


def test_pictures_survive_the_way_through_json():
    random = np.random.default_rng(0)
    grey, colour = (random.integers(0, 256, shape, dtype=np.uint8) for shape in ((3, 4), (3, 4, 3)))
    answer = {
        "image": Image.fromarray(grey),
        "images": [Image.fromarray(colour)],
        "text": "data: no picture",
        "n": [1.5],
    }
    found = postprocess.from_json(json.loads(json.dumps(postprocess.to_json(answer))))
    np.testing.assert_array_equal(np.asarray(found["image"]), grey)
    np.testing.assert_array_equal(np.asarray(found["images"][0]), colour)
    assert (found["text"], found["n"]) == ("data: no picture", [1.5])


def test_what_a_generator_is_asked():
    (asked,) = generation.requests(GENERATOR, (), {"seed": 3, "count": 4, "label": "dot"})
    assert {name: values.tolist() for name, values in asked.items()} == {
        "seed": [3],
        "count": [4],
        "label": [1],
    }
    (asked,) = generation.requests(GENERATOR, (), {})
    assert {name: values.tolist() for name, values in asked.items()} == {
        "seed": [0],
        "count": [1],
        "label": [parameters.EVERY],
    }
    for given_, told in (
        ({"seed": 2**63}, "g: seed must be"),
        ({"count": 0}, "g: count must be 1 to"),
        ({"label": "dott"}, "g: no class 'dott'. Did you mean 'dot'?"),
    ):
        with pytest.raises(UserError) as error:
            list(generation.requests(GENERATOR, (), given_))
        assert told in str(error.value)


def test_objects_below_the_score_are_left_out_and_the_surest_comes_first():
    outputs = {
        "boxes": np.arange(12, dtype=np.float32).reshape(1, 3, 4),
        "scores": np.array([[0.49, 0.6, 0.9]], np.float32),
        "labels": np.array([[0, 1, 0]]),
    }
    (answer,) = detection.read({"classes": ["bar", "dot"]}, outputs)
    assert [(one["label"], one["box"]["xmin"]) for one in answer["objects"]] == [("bar", 8), ("dot", 4)]
