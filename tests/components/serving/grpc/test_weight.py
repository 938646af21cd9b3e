"""A message is weighed as protobuf itself would, whatever its bytes are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.grpc import weight
from components.serving.request_error import Reason, RequestError

TENSOR = pb.ModelInferRequest.InferInputTensor(name="image", datatype="UINT8", shape=[1, 4])


def reason(content: bytes) -> Reason | None:
    try:
        weight.check(content)
    except RequestError as refused:
        return refused.reason
    return None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=300), max_size=5), st.integers(0, 5), st.text(max_size=200), st.integers(0, 9)
)
def test_raw_tensors_weigh_nothing(raw, inputs, id, off):
    message = pb.ModelInferRequest(model_name="m", id=id, inputs=[TENSOR] * inputs, raw_input_contents=raw)
    content = message.SerializeToString()
    beside = len(pb.ModelInferRequest(model_name="m", id=id, inputs=[TENSOR] * inputs).SerializeToString())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weight, "MAX_JSON", beside - off)
        assert reason(content) == (Reason.TOO_LARGE if off else None)


@pytest.mark.parametrize("field", [1, 5, 6, 8, 900])
def test_many_empty_fields_are_no_message(field):
    """Two bytes each, of which a parser makes objects of a hundred."""
    key = field << 3 | 2
    tag = bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])
    assert reason((tag + b"\0") * weight.MAX_FIELDS) is None
    assert reason((tag + b"\0") * (weight.MAX_FIELDS + 1)) is Reason.TOO_LARGE


def test_large_typed_contents_are_told_where_to_go():
    contents = pb.InferTensorContents(uint_contents=[7])
    contents.uint_contents.extend([7] * weight.MAX_JSON)
    message = pb.ModelInferRequest(inputs=[pb.ModelInferRequest.InferInputTensor(contents=contents)])
    with pytest.raises(RequestError, match="raw_input_contents: send tensors there"):
        weight.check(message.SerializeToString())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64))
def test_noise_is_weighed_or_refused(content):
    assert reason(content) in (None, Reason.INVALID)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3))
def test_what_protobuf_reads_is_weighed(seed, cuts):
    """Of a message that was cut or changed: where protobuf still reads it, so does this."""
    chance = random.Random(seed)
    message = pb.ModelInferRequest(model_name="m", inputs=[TENSOR], raw_input_contents=[b"1234"])
    content = bytearray(message.SerializeToString())
    for _ in range(cuts):
        content[chance.randrange(len(content))] = chance.randrange(256)
    content = bytes(content[: chance.randrange(len(content) + 1)])
    try:
        pb.ModelInferRequest.FromString(content)
    except Exception:
        return
    assert reason(content) is None or any(byte & 7 in (3, 4) for byte in content)  # groups are not taken


def test_a_varint_ends():
    assert reason(b"\xff" * 11) is Reason.INVALID
    assert reason(b"\x08" + b"\xff" * 9 + b"\x01") is None  # ten bytes, as protobuf writes a negative number
