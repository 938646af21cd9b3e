"""Golden examples in their file: inputs, and the outputs that were right at export, as safetensors.

A tensor of strings, which safetensors has no dtype for, is stored as uint8 [N, L]: a row holds a text's UTF-8 bytes,
zeros after its end. Outputs that are strings are left out: they are spelled from other outputs, which are there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from safetensors.numpy import load

from components.bundles.signature import Arrays
from data.tensor_files import encode


def write(inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> bytes:
    """Return the content of the file.

    Args:
        inputs: by name; strings as an array of objects [N].
        outputs: by name.
    """
    tensors = {f"input/{name}": _packed(values) for name, values in inputs.items()}
    tensors |= {f"output/{name}": values for name, values in outputs.items() if values.dtype != object}
    return encode(tensors)


def read(content: bytes, texts: Collection[str]) -> tuple[Arrays, Arrays]:
    """Return inputs and outputs by name, from the content of the file.

    Args:
        content: as :func:`write` gave it.
        texts: the names of the inputs that are strings.
    """
    inputs, outputs = {}, {}
    for key, values in load(content).items():
        kind, _, name = key.partition("/")
        if kind == "input":
            inputs[name] = _unpacked(values) if name in texts else values
        else:
            outputs[name] = values
    return inputs, outputs


def _packed(values: np.ndarray) -> np.ndarray:
    if values.dtype != object:
        return values
    texts = [text.encode() for text in values]
    length = max(1, *map(len, texts))  # all of them may be empty
    return np.frombuffer(b"".join(text.ljust(length, b"\0") for text in texts), np.uint8).reshape(-1, length)


def _unpacked(rows: np.ndarray) -> np.ndarray:
    return np.array([row.tobytes().rstrip(b"\0").decode() for row in rows], dtype=object)
