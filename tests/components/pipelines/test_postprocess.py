"""What is told of a graph's outputs: every task has its reader, and answers survive the way through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from components import pipelines, tasks
from components.pipelines import postprocess
from data.errors import UserError

GENERATOR = {
    "name": "g",
    "task": "generation",
    "classes": ["bar", "dot"],
    "inputs": [{"name": name} for name in ("seed", "count", "label")],
}


def test_every_task_has_a_reader_and_can_be_asked_for():
    assert set(postprocess.READERS) == set(tasks.TASKS)
    assert {task for able in pipelines.TASKS.values() for task in able} == set(tasks.TASKS)


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
    asked = postprocess.request(GENERATOR, 3, 4, "dot")
    assert {name: values.tolist() for name, values in asked.items()} == {
        "seed": [3],
        "count": [4],
        "label": [1],
    }
    assert postprocess.request(GENERATOR)["label"] == [postprocess.EVERY]
    for given_, told in (
        ({"seed": 2**63}, "g: seed must be"),
        ({"count": 0}, "g: count must be 1 to"),
        ({"label": "dott"}, "g: no class 'dott'. Did you mean 'dot'?"),
    ):
        with pytest.raises(UserError) as error:
            postprocess.request(GENERATOR, **given_)
        assert told in str(error.value)


def test_objects_below_the_score_are_left_out_and_the_surest_comes_first():
    outputs = {
        "boxes": np.arange(12, dtype=np.float32).reshape(1, 3, 4),
        "scores": np.array([[0.49, 0.6, 0.9]], np.float32),
        "labels": np.array([[0, 1, 0]]),
    }
    (answer,) = postprocess.read({"task": "detection", "classes": ["bar", "dot"]}, outputs)
    assert [(one["label"], one["box"]["xmin"]) for one in answer["objects"]] == [("bar", 8), ("dot", 4)]
