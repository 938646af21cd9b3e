"""What the stages make of a segmenter, beside what they make of any model (``test_task_stages``)."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components import train
from components.bundles.bundle import Bundle
from components.project import layout
from data import atomic
from data.errors import UserError
from tests.components.test_read_bundle import _run

pytestmark = pytest.mark.parametrize("staged", ["segmentation"], indirect=True)


def test_masks_may_differ_in_some_pixels_and_scenes_have_no_class(staged):
    described = json.loads((layout.bundle("m") / "bundle.json").read_text())
    assert described["golden"]["tolerances"]["mask"]["exceptions"] > 0
    table = pq.read_table(layout.evaluated("m") / "examples.parquet").to_pandas()
    assert (table["label"] == -1).all()


def test_a_reader_gets_a_mask_of_the_size_of_its_picture(staged):
    Image.fromarray(staged.data.test.images[3, :, :, 0]).resize((48, 64)).save("wide.png")
    bundle = Bundle.open(layout.bundle("m"))
    (mask,) = bundle.predict({"image": bundle.prepare_image(Image.open("wide.png"))})["mask"]
    printed = _run(layout.bundle("m"), "wide.png", "--output", "mask.png").splitlines()
    written = Image.open("mask.png")
    assert written.mode == "P" and written.size == (48, 64)
    expected = Image.fromarray(mask).resize((48, 64), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(np.asarray(written), np.asarray(expected))
    assert len(written.convert("RGB").getcolors()) == len(np.unique(mask))
    assert [int(line.split()[0]) for line in printed] == np.unique(mask).tolist()


def test_data_without_masks_is_refused_before_training(staged):
    spec = layout.prepared(staged.dataset) / "spec.json"
    atomic.write_json(spec, json.loads(spec.read_text()) | {"has_masks": False})
    with pytest.raises(UserError, match=r"models.m.dataset: 'digit_scenes' has boxes and no masks"):
        train.run("m")
