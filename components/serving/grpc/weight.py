"""How much of a message is description, found before it is parsed.

A parser makes an object of every two bytes, if a client wants it to: 32 MiB of empty inputs take 1.4 GB. Raw tensors
are what makes an honest message large, and they stay bytes; all else is bounded here, at the cost of a look at the top
fields (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.request_error import Reason, RequestError
from components.serving.routes.inference import MAX_JSON

MAX_FIELDS = 4096
"""Most top fields of a message: inputs, outputs, parameters and raw tensors together."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_RAW = pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER << 3 | _LENGTH
_LONGEST = 10  # bytes of a varint


def check(content: bytes) -> None:
    """Check a message's size without raw tensors, typed contents among it.

    Raises:
        RequestError: it has more of it than is read while all others wait (TOO_LARGE), or is no message (INVALID).
    """
    described, fields, at = 0, 0, 0
    while at < len(content):
        start = at
        key, at = _varint(content, at)
        kind = key & 7
        if kind == _LENGTH:
            length, at = _varint(content, at)
            at += length
        elif kind == _VARINT:
            _, at = _varint(content, at)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise _broken()
        if at > len(content):
            raise _broken()
        fields += 1
        if key != _RAW:
            described += at - start
        if described > MAX_JSON:
            raise RequestError(
                Reason.TOO_LARGE, f"more than {MAX_JSON} bytes beside raw_input_contents: send tensors there"
            )
        if fields > MAX_FIELDS:
            raise RequestError(Reason.TOO_LARGE, f"the message has more than {MAX_FIELDS} fields")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at``, seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    for byte in content[at : at + _LONGEST]:
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise _broken()


def _broken() -> RequestError:
    return RequestError(Reason.INVALID, "the message is not of the protocol")
