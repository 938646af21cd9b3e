"""Text out of a graph: strings are what the symbols spell."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from components import onnx_export, onnx_text
from data.text import END
from data.text import spell as spelled


def session(length: int, symbols: list[str], separator: str) -> onnxruntime.InferenceSession:
    """Return a graph that gives back symbols, and spells them."""
    shape = ["batch", length]
    tensors = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("given", "symbols")]
    node = helper.make_node("Identity", ["given"], ["symbols"])
    graph = helper.make_graph([node], "g", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx_export.OPSET)], ir_version=9)
    content = onnx_text.spell(model.SerializeToString(), symbols, separator)
    onnx.checker.check_model(onnx.load_model_from_string(content), full_check=True)
    assert onnx_text.spell(model.SerializeToString(), symbols, separator) == content
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("length", "symbols", "separator"),
    [(6, [*"0123456789"], ""), (3, ["Ankle boot", "Bag"], ", "), (1, ["ä", "漢"], ""), (2, ["x"], " ")],
)
def test_the_graph_spells_as_the_project_does(length, symbols, separator):
    graph = session(length, symbols, separator)

    @given(st.lists(st.lists(st.integers(0, len(symbols) - 1), max_size=length), min_size=1, max_size=5))
    @settings(max_examples=25, deadline=None)
    def check(texts):
        rows = np.full((len(texts), length), END, np.int64)
        for row, text in zip(rows, texts, strict=True):
            row[: len(text)] = text
        _, strings = graph.run(None, {"given": rows})
        assert strings.tolist() == spelled(rows, symbols, separator)

    check()
