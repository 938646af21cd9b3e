"""Text out of a graph: strings are what the symbols spell; and into one: tokens are what words stand for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnxscript import ir

from components.bundles import onnx_export, onnx_text
from data import captions
from data.text import END
from data.text import spell as spelled


def extended(model: onnx.ModelProto, extend: Callable[..., None], *arguments: object) -> bytes:
    """Return the graph with text put in: valid, the same bytes again, and for the runtimes of before."""
    contents = []
    for _ in range(2):
        traced = ir.from_proto(model)
        extend(traced, *arguments)
        contents.append(onnx_export.serialize(traced))
    assert contents[0] == contents[1]
    made = onnx.load_model_from_string(contents[0])
    onnx.checker.check_model(made, full_check=True)
    assert made.ir_version == model.ir_version
    opsets = {imported.domain: imported.version for imported in made.opset_import}
    assert opsets.pop("ai.onnx.ml", onnx_text.ML_OPSET) == onnx_text.ML_OPSET
    assert opsets == {"": onnx_export.OPSET}
    assert not {value.name for value in made.graph.value_info} & {
        weight.name for weight in made.graph.initializer
    }
    assert not any(node.metadata_props for node in made.graph.node)
    return contents[0]


def session(length: int, symbols: list[str], separator: str) -> onnxruntime.InferenceSession:
    """Return a graph that gives back symbols, and spells them."""
    shape = ["batch", length]
    tensors = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("given", "symbols")]
    node = helper.make_node("Identity", ["given"], ["symbols"])
    graph = helper.make_graph([node], "g", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx_export.OPSET)], ir_version=9)
    content = extended(model, onnx_text.spell, symbols, separator)
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


def reader(words: list[str], longest: int) -> onnxruntime.InferenceSession:
    """Return a graph that gives back the tokens of its prompts."""
    tensors = [
        helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", longest]) for n in ("prompt", "tokens")
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["prompt"], ["tokens"])], "g", tensors[:1], tensors[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx_export.OPSET)], ir_version=9)
    content = extended(model, onnx_text.read, "prompt", words)
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


KNOWN = ["a", "blue", "red", "seven", "ümlaut", "漢字"]
WORD = st.one_of(
    st.sampled_from(KNOWN),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" "), max_size=8),
)
PROMPT = st.builds(
    lambda words, gaps: "".join(gap * " " + word for word, gap in zip(words, gaps, strict=False)),
    st.lists(WORD, max_size=8),
    st.lists(st.integers(1, 3), min_size=8, max_size=8),
)


@pytest.mark.parametrize("longest", [1, 4, 12])
def test_the_graph_reads_as_the_project_does(longest):
    graph = reader(KNOWN, longest)

    @given(st.lists(PROMPT, min_size=1, max_size=5))
    @settings(max_examples=100, deadline=None)
    def check(texts):
        (tokens,) = graph.run(None, {"prompt": np.array(texts, dtype=object)})
        taken_apart = [[word for word in text.split(" ") if word] for text in texts]
        assert tokens.dtype == np.int64
        np.testing.assert_array_equal(tokens, captions.encode(taken_apart, KNOWN, longest))

    check()


def test_prompts_without_words_are_padding_alone():
    graph = reader(KNOWN, 3)
    for texts in ([""], ["", "   "], ["  ", "a", ""]):
        (tokens,) = graph.run(None, {"prompt": np.array(texts, dtype=object)})
        assert tokens.tolist() == [[captions.FIRST, 0, 0] if text == "a" else [0, 0, 0] for text in texts]


def test_a_prompt_is_read_inside_a_loop_too():
    """A sampler uses the prompt in the body of its loop, by the name that it has outside."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Add", ["sum", "prompt"], ["more"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.INT64, ["batch", 2]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.INT64, ["batch", 2]),
        ],
    )
    loop = helper.make_node("Loop", ["times", "", "prompt"], ["tokens"], body=body)
    shape = ["batch", 2]
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("prompt", "tokens")
    )
    times = onnx.numpy_helper.from_array(np.int64(2), "times")
    graph = helper.make_graph([loop], "g", [given], [made], [times])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx_export.OPSET)], ir_version=9)
    content = extended(model, onnx_text.read, "prompt", ["red"])
    onnx.checker.check_model(onnx.load_model_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (tokens,) = session.run(None, {"prompt": np.array(["red", "no red"], dtype=object)})
    assert tokens.tolist() == [[6, 0], [3, 6]]
