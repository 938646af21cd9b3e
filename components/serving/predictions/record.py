"""An answer on its way from a worker to the recorder: a length, JSON, and the raw bytes of its tensors.

4 bytes  length of all that follows, little-endian
4 bytes  length of the JSON
JSON     model, version, sha256, id, time, reason, labels, confidence, and of each tensor name, datatype, shape, size
...      the tensors' bytes, outputs first, as V2 has them (``components/serving/v2/tensors.py``)
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from components.bundles.signature import Arrays
from components.serving.engine.served_version import ServedVersion
from components.serving.v2 import tensors

Reason = Literal["share", "low_confidence", "disagreement"]

_LENGTHS = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Record:
    """An answer as the recorder gets it, and holds it: as bytes, a fraction of what its values would take in Python.

    Attributes:
        model: its name.
        id: the request's name.
        content: JSON and tensors.
        head_length: bytes of the JSON.
    """

    model: str
    id: str
    content: bytes
    head_length: int

    @property
    def size(self) -> int:
        """Its bytes in memory."""
        return len(self.content)

    def row(self) -> dict[str, Any]:
        """Return the values of a row of the log (:data:`components.serving.predictions.store.SCHEMA`)."""
        head, at, groups = orjson.loads(self.content[: self.head_length]), self.head_length, []
        for described in head["tensors"]:
            group = []
            for name, datatype, shape, length in described:
                data = self.content[at : at + length]
                group.append({"name": name, "datatype": datatype, "shape": shape, "data": data})
                at += length
            groups.append(group)
        return {
            "time": head["time"],
            "request_id": self.id,
            "model": self.model,
            "version": head["version"],
            "bundle_sha256": head["sha256"],
            "reason": head["reason"],
            "labels": head["labels"],
            "confidence": head["confidence"],
            "outputs": groups[0],
            "inputs": groups[1] or None,
        }


def likeliest(outputs: Arrays) -> tuple[list[int] | None, float | None]:
    """Return the place of the likeliest class of each row, and the confidence of the least certain row.

    Each is None where a model does not say it. One ``argmax`` and plain numbers: it is a large part of a row's cost.
    """
    probabilities, confidence = outputs.get("probabilities"), outputs.get("confidence")
    if probabilities is not None and probabilities.size:
        flat = probabilities.reshape(-1, probabilities.shape[-1])
        places = flat.argmax(axis=1).tolist()
        return places, min([flat.item(row, place) for row, place in enumerate(places)])
    return None, float(confidence.min()) if confidence is not None and confidence.size else None


def encode(served: ServedVersion, id: str, reason: Reason, inputs: Arrays, outputs: Arrays) -> bytes:
    """Return an answer as bytes; ``inputs`` are empty where they are not kept."""
    groups, content = [], []
    (places, confidence), classes = likeliest(outputs), served.bundle.description.get("classes")
    for arrays in (outputs, inputs):
        described = []
        for name, values in arrays.items():
            content.append(tensors.to_bytes(values))
            described.append((name, tensors.datatype_of(values), values.shape, len(content[-1])))
        groups.append(described)
    head = orjson.dumps(
        {
            "model": served.name,
            "version": served.version,
            "sha256": served.bundle.sha256,
            "id": id,
            "time": time.time_ns() // 1000,
            "reason": reason,
            "labels": [classes[place] for place in places] if places and classes else None,
            "confidence": confidence,
            "tensors": groups,
        }
    )
    size = len(head) + sum(map(len, content))
    return b"".join((_LENGTHS.pack(4 + size, len(head)), head, *content))


def decode(content: bytearray) -> Iterator[Record]:
    """Take the whole records from the front of ``content`` and yield them."""
    at = 0
    while at + 8 <= len(content):
        length, head_length = _LENGTHS.unpack_from(content, at)
        end = at + 4 + length
        if end > len(content):
            break
        whole = bytes(memoryview(content)[at + 8 : end])
        head = orjson.loads(memoryview(whole)[:head_length])
        yield Record(head["model"], head["id"], whole, head_length)
        at = end
    del content[:at]
