"""What the stages make of a transcriber, beside what they make of any model (``test_task_stages``)."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components import export
from components.bundles.bundle import Bundle
from components.project import layout
from data.errors import UserError
from tests.components.test_read_bundle import _run

pytestmark = pytest.mark.parametrize("staged", ["transcription"], indirect=True)


def test_the_bundle_says_what_symbols_there_are(staged):
    described = json.loads((layout.bundle("m") / "bundle.json").read_text())
    assert (described["symbols"], described["separator"]) == ([*"0123456789"], "")
    assert "TYPE_STRING" in (layout.bundle("m") / "config.pbtxt").read_text()


def test_a_reader_gets_the_text_that_was_evaluated(staged):
    table = pq.read_table(layout.evaluated("m") / "examples.parquet").to_pandas()
    images = staged.data.test.images
    answers = Bundle.open(layout.bundle("m")).predict({"image": np.asarray(images[:9])})
    assert answers["text"].tolist() == table["predicted"][:9].tolist()
    Image.fromarray(images[0, :, :, 0]).save("line.png")
    assert _run(layout.bundle("m"), "line.png") == f"{answers['text'][0]}  {answers['confidence'][0]:.3f}\n"


def test_a_graph_that_reads_otherwise_is_not_exported(staged, monkeypatch):
    content = (layout.bundle("m") / "1/model.onnx").read_bytes()
    monkeypatch.setattr(export, "convert", lambda *_: content)
    file = layout.evaluated("m") / "examples.parquet"
    table = pq.read_table(file).to_pandas()
    table["predicted"] = "x"
    table.to_parquet(file)
    shutil.rmtree(layout.bundle("m"))
    with pytest.raises(
        UserError, match=r"80 of 80 test lines are read otherwise by ONNX Runtime, .* as '\d+'"
    ):
        export.run("m")
    assert not layout.bundle("m").exists()
