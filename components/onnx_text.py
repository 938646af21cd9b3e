"""Lets an exported graph end in text: symbols by their indices become strings in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


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
