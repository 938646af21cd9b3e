"""Text at both ends of an exported graph: strings out of symbols by their indices, and tokens out of strings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from data import captions

ML_OPSET = 4
"""Of ``ai.onnx.ml``, which LabelEncoder is of: it came with opset 20."""


def spell(content: bytes, symbols: Sequence[str], separator: str) -> bytes:
    """Return the graph ``content`` with one more output, ``text`` string [N], spelled from its output ``symbols``.

    Args:
        content: a graph of opset 20 at least, the first with StringConcat, and with an output ``symbols`` int64
            [N, L], -1 after the end.
        symbols: what each index stands for.
        separator: what stands between two symbols.
    """
    model = onnx.load_model_from_string(content)
    graph = model.graph
    (output,) = [value for value in graph.output if value.name == "symbols"]
    batch, length = output.type.tensor_type.shape.dim
    # Index -1 counts from the end of a table: its last entry, which is empty.
    tables = {
        "first_symbols": [*symbols, ""],
        "further_symbols": [*(separator + symbol for symbol in symbols), ""],
    }
    for name, entries in tables.items():
        graph.initializer.append(numpy_helper.from_array(np.array(entries, dtype=object), f"text/{name}"))
    text = ""
    for place in range(length.dim_value):
        index, symbol = f"text/index_{place}", f"text/symbol_{place}"
        graph.initializer.append(numpy_helper.from_array(np.int64(place), f"text/place_{place}"))
        graph.node.append(
            helper.make_node("Gather", ["symbols", f"text/place_{place}"], [index], name=index, axis=1)
        )
        table = "text/further_symbols" if place else "text/first_symbols"
        graph.node.append(helper.make_node("Gather", [table, index], [symbol], name=symbol))
        if place:
            joined = "text" if place == length.dim_value - 1 else f"text/joined_{place}"
            graph.node.append(helper.make_node("StringConcat", [text, symbol], [joined], name=joined))
        text = joined if place else symbol
    if length.dim_value == 1:
        graph.node.append(helper.make_node("Identity", [text], ["text"], name="text"))
    graph.output.append(helper.make_tensor_value_info("text", TensorProto.STRING, [batch.dim_param]))
    return model.SerializeToString(deterministic=True)


def read(content: bytes, name: str, words: Sequence[str]) -> bytes:
    """Return the graph ``content`` with strings [N] as its input ``name``, in place of their words' tokens.

    A text is taken apart at blanks (U+0020); each word becomes its token (``data/captions.py``), and what is left of a
    row is padding. Words beyond the row's length are left out. Nothing is brought to lower case here: ONNX leaves what
    that means to the runtime's locale.

    Args:
        content: a graph of opset 20 at least, the first with StringSplit, with an input ``name`` int64 [N, L].
        name: of the input.
        words: the words that have a token, in order.
    """
    model = onnx.load_model_from_string(content)
    graph = model.graph
    place = [value.name for value in graph.input].index(name)
    batch, length = graph.input[place].type.tensor_type.shape.dim
    _rename(graph, name, f"{name}/tokens")
    graph.input[place].CopyFrom(helper.make_tensor_value_info(name, TensorProto.STRING, [batch.dim_param]))
    constants = {"behind": [0, 0, 0, length.dim_value], "start": [0], "end": [length.dim_value], "axis": [1]}
    for key, values in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), f"{name}/{key}"))
    # Rows with fewer words than the longest are filled up with empty strings by StringSplit, to that one's number.
    table = {
        "keys_strings": ["", *words],
        "values_int64s": [captions.PADDING, *(captions.FIRST + index for index in range(len(words)))],
        "default_int64": captions.UNKNOWN,
    }
    steps = [
        ("StringSplit", [name], ["words", "counts"], {}),
        ("LabelEncoder", [f"{name}/words"], ["looked_up"], {"domain": "ai.onnx.ml", **table}),
        ("Pad", [f"{name}/looked_up", f"{name}/behind"], ["padded"], {}),
        ("Slice", [f"{name}/padded", *(f"{name}/{key}" for key in ("start", "end", "axis"))], ["tokens"], {}),
    ]
    nodes = [
        helper.make_node(kind, given, [f"{name}/{made}" for made in makes], name=f"{name}/{makes[0]}", **how)
        for kind, given, makes, how in steps
    ]
    for node in reversed(nodes):
        graph.node.insert(0, node)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    return model.SerializeToString(deterministic=True)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Let every node that uses the value ``old`` use ``new``, also in the bodies of loops and branches."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _rename(attribute.g, old, new)
