from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.bundles import onnx_export
from components.bundles.onnx_session import OnnxGraph
from components.bundles.signature import Tensor
from data import fit
from models.blocks.in_pictures import in_pictures

FITS = ("stretch", "crop", "pad")
SIDES = st.integers(1, 400)


@given(
    kind=st.sampled_from(FITS), size=st.tuples(SIDES, SIDES), target=st.tuples(SIDES, SIDES), data=st.data()
)
def test_a_box_comes_back_to_where_it_was(kind, size, target, data):
    x0, y0, x1, y1 = np.clip(fit.window(kind, size, target), 0, [*size, *size])
    shares = np.sort(np.array([data.draw(st.floats(0, 1)) for _ in range(4)]).reshape(2, 2), axis=0)
    box = [x0, y0] + shares * [x1 - x0, y1 - y0]  # within what is seen
    corners = torch.from_numpy(fit.move(box, kind, size, target).reshape(1, 1, 4)).float()
    found = in_pictures(corners, torch.tensor([size[::-1]]), kind, target[::-1])
    np.testing.assert_allclose(found[0, 0], box.ravel(), rtol=1e-4, atol=1e-3 * max(size))


class _Graph(torch.nn.Module):
    def __init__(self, kind: fit.Fit) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, corners: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        return in_pictures(corners, size, self.kind, (32, 48))


@pytest.mark.slow  # exporting starts PyTorch's compiler
@pytest.mark.parametrize("kind", ["crop", "pad"])
def test_the_exported_graph_does_the_same(kind, tmp_path):
    inputs = [Tensor("corners", "float32", (-1, -1, 4)), Tensor("size", "int64", (-1, 2))]
    outputs = [Tensor("boxes", "float32", (-1, -1, 4))]
    random = np.random.default_rng(0)
    asked = {
        "corners": np.sort(random.random((5, 3, 4), dtype=np.float32), axis=2),
        "size": random.integers(5, 900, (5, 2)),
    }
    content = onnx_export.convert(_Graph(kind), inputs, outputs, asked)
    (tmp_path / "graph").write_bytes(content)
    found = OnnxGraph(tmp_path / "graph", content, inputs, outputs).predict(asked)["boxes"]
    expected = in_pictures(*map(torch.from_numpy, asked.values()), kind, (32, 48))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
