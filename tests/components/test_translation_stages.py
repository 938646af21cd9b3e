"""What the stages make of a translator, beside what they make of any model (``test_task_stages``)."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from components.bundles.bundle import Bundle
from components.project import layout
from tests.components.test_read_bundle import _run

pytestmark = pytest.mark.parametrize("staged", ["translation"], indirect=True)


def test_a_reader_gets_the_translated_picture(staged):
    inputs = staged.data.test.inputs
    made = Bundle.open(layout.bundle("m")).predict({"image": inputs[:1]})["translated"][0]
    Image.fromarray(inputs[0, :, :, 0]).save("edges.png")
    _run(layout.bundle("m"), "edges.png", "--output", "made.png")
    np.testing.assert_array_equal(np.asarray(Image.open("made.png")), made[:, :, 0])
