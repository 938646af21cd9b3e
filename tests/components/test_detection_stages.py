"""What the stages make of a detector, beside what they make of any model (``test_task_stages``)."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.bundles.bundle import Bundle
from components.project import layout
from tests.components.test_read_bundle import _run

pytestmark = pytest.mark.parametrize("staged", ["detection"], indirect=True)


def test_examples_count_the_objects_that_are_found(staged):
    table = pq.read_table(layout.evaluated("m") / "examples.parquet").to_pandas()
    assert table["objects"].sum() == (staged.data.test.box_labels >= 0).sum() and table["objects"][0] == 0
    assert (table["found"] <= table["objects"]).all()


def test_a_reader_gets_boxes_in_the_pixels_of_its_picture(staged):
    """Which is larger than the graph's, and wider."""
    image = staged.data.test.images[3]
    Image.fromarray(np.kron(image[:, :, 0], np.ones((3, 4), np.uint8))).save("wide.png")
    bundle = Bundle.open(layout.bundle("m"))
    given = {"image": bundle.prepare_image(Image.open("wide.png")), "size": np.array([[96, 128]])}
    assert given["image"].shape == (1, 32, 32, 1)
    answers = {name: values[0] for name, values in bundle.predict(given).items()}
    assert answers["boxes"][:, [1, 3]].max() <= 96 < answers["boxes"].max() <= 128
    sure = [q for q in np.argsort(-answers["scores"]) if answers["scores"][q] >= 0.5]
    expected = [
        f"{bundle.description['classes'][answers['labels'][q]]}  {answers['scores'][q]:.3f}  "
        + " ".join(f"{value:.1f}" for value in answers["boxes"][q])
        for q in sure
    ]
    assert _run(layout.bundle("m"), "wide.png").splitlines() == expected
