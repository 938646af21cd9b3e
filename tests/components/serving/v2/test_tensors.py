"""Tensors on the wire: what goes out comes back, and whatever comes in is a tensor or is refused."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from components.serving.http.messages import Request
from components.serving.request_error import Reason, RequestError
from components.serving.routes import inference
from components.serving.v2 import tensors
from components.serving.v2.infer_request import InferRequestCache

NUMERIC = [name for name in tensors.DATATYPES.values() if name != "BYTES"]
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def request(body: bytes, header: bytes | None = None) -> Request:
    headers = {} if header is None else {b"inference-header-content-length": header}
    made = Request("POST", "/", headers=headers)
    made.body = body
    return made


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_numbers_come_back(data):
    dtype = np.dtype(data.draw(st.sampled_from([d for d in tensors.DATATYPES if d != "string"])))
    elements = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    values = data.draw(npst.arrays(dtype, SHAPES, elements=elements))
    datatype = tensors.datatype_of(values)
    back = tensors.from_bytes("t", datatype, values.shape, memoryview(tensors.to_bytes(values)))
    np.testing.assert_array_equal(back, values, strict=True)
    listed = json.loads(json.dumps(tensors.to_list(values)))
    np.testing.assert_array_equal(tensors.from_list("t", datatype, values.shape, listed), values, strict=True)


@settings(max_examples=100, deadline=None)
@given(npst.arrays(object, SHAPES, elements=st.text(max_size=8)))
def test_text_comes_back(values):
    assert tensors.datatype_of(values) == "BYTES"
    back = tensors.from_bytes("t", "BYTES", values.shape, memoryview(tensors.to_bytes(values)))
    np.testing.assert_array_equal(back, values)
    np.testing.assert_array_equal(
        tensors.from_list("t", "BYTES", values.shape, tensors.to_list(values)), values
    )


def test_text_is_little_endian_lengths_and_utf8():
    values = np.array(["é", ""], dtype=object)
    assert tensors.to_bytes(values) == b"\x02\x00\x00\x00\xc3\xa9\x00\x00\x00\x00"


def test_nested_lists():
    values = tensors.from_list("t", "INT64", (2, 2), [[1, 2], [3, 4]])
    assert values.tolist() == [[1, 2], [3, 4]]
    assert tensors.from_list("t", "BYTES", (2, 1), [["a"], ["b"]]).tolist() == [["a"], ["b"]]


def test_whole_numbers_may_have_a_point():
    """Clients that are written for doubles, such as the one generated from the protocol, send 255.0."""
    for datatype, data in (("UINT8", [0.0, 255.0, -0.0, 7]), ("INT64", [-3.0, 2.0**52, 5, 1e3])):
        values = tensors.from_list("t", datatype, (4,), data)
        np.testing.assert_array_equal(values, np.array(data, values.dtype), strict=True)
        assert tensors.datatype_of(values) == datatype
    assert tensors.shape_of("t", [2.0, 3]) == (2, 3)
    tensor = {"name": "t", "datatype": "UINT8", "shape": [2.0], "parameters": {"binary_data_size": 2.0}}
    head = json.dumps({"inputs": [tensor], "parameters": {"timeout": 5e6}}).encode()
    asked, inputs = inference.read(request(head + b"ab", b"%d" % len(head)), InferRequestCache())
    assert asked.timeout_s == 5 and inputs["t"].tolist() == [97, 98]


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "told"),
    [
        ("UINT8", (1,), [256], "no UINT8"),
        ("UINT8", (1,), [-1], "no UINT8"),
        ("UINT8", (1,), [255.5], "no UINT8"),
        ("UINT8", (1,), [256.0], "no UINT8"),
        ("UINT8", (1,), [-1.0], "no UINT8"),
        ("INT64", (1,), [0.5], "no INT64"),
        (
            "INT64",
            (2,),
            [2**53 + 1, 1.0],
            "no INT64",
        ),  # side by side both become floats, and the first another
        ("INT64", (1,), [1e300], "no INT64"),
        ("UINT8", (1,), [True], "no UINT8"),
        ("UINT8", (1,), ["1"], "no UINT8"),
        ("UINT8", (1,), [None], "no UINT8"),
        ("INT64", (1,), [2**63], "no INT64"),
        ("INT64", (1,), [2**80], "no INT64"),
        ("FP32", (1,), [1e39], "no FP32"),
        ("FP32", (2,), [1.0], r"shape \[2\] does not fit 1 values"),
        ("FP32", (2,), [[1.0], [1.0, 2.0]], "ragged"),
        ("FP32", (1,), 1.0, "must be a list"),
        ("FP32", (1,), None, "must be a list"),
        ("FP64", (1,), [1.0], "no datatype 'FP64': UINT8, INT64, FP32, BYTES"),
        ("FP31", (1,), [1.0], "no datatype 'FP31'"),
        ("BYTES", (1,), [1], "strings"),
        ("BYTES", (2,), ["a"], "does not fit 1 values"),
        (["FP32"], (1,), [1.0], "no datatype"),
    ],
)
def test_lists_that_do_not_fit(datatype, shape, data, told):
    with pytest.raises(RequestError, match=told) as refused:
        tensors.from_list("t", datatype, shape, data)
    assert refused.value.reason is Reason.INVALID


@pytest.mark.parametrize(
    ("datatype", "shape", "content", "told"),
    [
        ("FP32", (2,), b"1234", "8 bytes, not 4"),
        ("FP32", (1,), b"12345678", "4 bytes, not 8"),
        ("UINT8", (2**31 - 1, 2**31 - 1), b"", "bytes, not 0"),
        ("BYTES", (1,), b"\x05\x00\x00\x00abc", "longer than"),
        ("BYTES", (1,), b"\xff\xff\xff\xffabc", "longer than"),
        ("BYTES", (2,), b"\x03\x00\x00\x00abc\x01", "end before"),
        ("BYTES", (1,), b"\x01\x00\x00\x00ab", "1 bytes after"),
        ("BYTES", (2**31 - 1,), b"", "need more than"),
        ("BYTES", (1,), b"\x01\x00\x00\x00\xff", "not UTF-8"),
        ("BYTES", (70000,), bytes(280000), "at most 65536"),
    ],
)
def test_bytes_that_do_not_fit(datatype, shape, content, told):
    with pytest.raises(RequestError, match=told) as refused:
        tensors.from_bytes("t", datatype, shape, memoryview(content))
    assert refused.value.reason is Reason.INVALID


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from([*NUMERIC, "BYTES", "image"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["image", "x"]) | JSON,
        "shape": st.lists(st.integers(-1, 5) | st.integers(), max_size=3) | JSON,
        "datatype": st.sampled_from([*NUMERIC, "BYTES"]) | JSON,
        "data": st.lists(JSON, max_size=4) | JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-2, 40) | JSON})
        | JSON,
    },
)
ASKED = st.fixed_dictionaries(
    {}, optional={"id": JSON, "inputs": st.lists(ENTRY, max_size=3) | JSON, "parameters": JSON}
)


@settings(max_examples=500, deadline=None)
@given(ASKED, st.binary(max_size=40), st.integers(-3, 3) | st.none(), st.booleans())
def test_whatever_comes_is_read_or_refused(asked, raw, off, binary):
    """The parser never raises anything but a refusal, and what it reads is of the sizes that were named."""
    head = json.dumps(asked).encode()
    header = str(len(head) + (off or 0)).encode() if binary else None
    try:
        _, inputs = inference.read(request(head + (raw if binary else b""), header), InferRequestCache())
    except RequestError as refused:
        assert refused.reason is Reason.INVALID
    else:
        assert all(isinstance(values, np.ndarray) and values.nbytes < 10_000 for values in inputs.values())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64), st.binary(max_size=6) | st.integers(0, 70).map(lambda n: str(n).encode()))
def test_noise_is_refused(body, header):
    try:
        inference.read(request(body, header), InferRequestCache())
    except RequestError as refused:
        assert refused.reason is Reason.INVALID


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_truncated_or_changed_request_is_refused_or_read_whole(data):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    entry = {"name": "a", "datatype": "UINT8", "shape": [3, 4], "parameters": {"binary_data_size": 12}}
    text = {"name": "b", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 7}}
    head = json.dumps({"inputs": [entry, text]}).encode()
    body = bytearray(head + values.tobytes() + struct.pack("<I", 3) + b"abc")
    if data.draw(st.booleans()):
        body = body[: data.draw(st.integers(0, len(body) - 1))]
    else:
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        _, inputs = inference.read(request(bytes(body), str(len(head)).encode()), InferRequestCache())
    except RequestError as refused:
        assert refused.reason is Reason.INVALID
    else:
        assert all(values.size <= 12 for values in inputs.values())
