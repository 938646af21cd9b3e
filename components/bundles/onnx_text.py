"""Text at both ends of an exported graph: strings out of symbols by their indices, and tokens out of strings."""

from __future__ import annotations

from collections.abc import Sequence

from onnxscript import GraphBuilder, OpBuilder, ir

from data import captions

ML_OPSET = 4
"""Of ``ai.onnx.ml``, which LabelEncoder is of: it came with opset 20."""


def spell(model: ir.Model, symbols: Sequence[str], separator: str) -> None:
    """Give the graph one more output, ``text`` string [N], spelled from its output ``symbols``.

    Args:
        model: of opset 20 at least, the first with StringConcat, and with an output ``symbols`` int64 [N, L], -1 after
            the end.
        symbols: what each index stands for.
        separator: what stands between two symbols.
    """
    op = _builder(model.graph, "text")
    (indices,) = [value for value in model.graph.outputs if value.name == "symbols"]
    batch, length = indices.shape
    # Index -1 counts from the end of a table: its last entry, which is empty.
    first = op.initializer(ir.tensor([*symbols, ""]), "first_symbols")
    further = op.initializer(ir.tensor([*(separator + symbol for symbol in symbols), ""]), "further_symbols")
    text = op.Gather(first, op.Gather(indices, 0, axis=1))
    for place in range(1, length):
        text = op.StringConcat(text, op.Gather(further, op.Gather(indices, place, axis=1)))
    text.name, text.shape = "text", ir.Shape([batch])
    model.graph.outputs.append(text)


def read(model: ir.Model, name: str, words: Sequence[str]) -> None:
    """Let the graph's input ``name`` be strings [N], in place of their words' tokens.

    A text is taken apart at blanks (U+0020); each word becomes its token (``data/captions.py``), and what is left of a
    row is padding. Words beyond the row's length are left out. Nothing is brought to lower case here: ONNX leaves what
    that means to the runtime's locale.

    Args:
        model: of opset 20 at least, the first with StringSplit, with an input ``name`` int64 [N, L].
        name: of the input.
        words: the words that have a token, in order.
    """
    graph, op = model.graph, _builder(model.graph, name)
    (tokens,) = [value for value in graph.inputs if value.name == name]
    batch, length = tokens.shape
    texts = ir.val(name, ir.DataType.STRING, [batch])
    graph.inputs[graph.inputs.index(tokens)] = texts
    graph.opset_imports["ai.onnx.ml"] = ML_OPSET
    # Rows with fewer words than the longest are filled up with empty strings by StringSplit, to that one's number.
    table = {
        "keys_strings": ["", *words],
        "values_int64s": [captions.PADDING, *(captions.FIRST + index for index in range(len(words)))],
        "default_int64": captions.UNKNOWN,
    }
    split, _ = op.StringSplit(texts, _outputs=2)
    looked_up = op.LabelEncoder(split, **table, _domain="ai.onnx.ml", _version=ML_OPSET)
    padded = op.Pad(looked_up, [0, 0, 0, length])
    # Also in the bodies of loops and branches.
    ir.convenience.replace_all_uses_with(tokens, op.Slice(padded, [0], [length], [1]))
    graph.sort()


def _builder(graph: ir.Graph, scope: str) -> OpBuilder:
    """Return what adds operations at the end of a graph, with names of their own."""
    builder = GraphBuilder(graph)
    builder.push_module(scope)
    return builder.op
