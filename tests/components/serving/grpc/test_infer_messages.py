"""Tensors in messages: what goes out comes back, and whatever comes in is a tensor or is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from components.serving.grpc import infer_messages
from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.request_error import Reason, RequestError
from components.serving.v2 import tensors

SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
SERVED = SimpleNamespace(name="m", version="3", says_precision=False)
TENSOR = pb.ModelInferRequest.InferInputTensor


@st.composite
def arrays(draw) -> np.ndarray:
    dtype = draw(st.sampled_from([np.uint8, np.int64, np.float32, object]))
    elements = st.text(max_size=8) if dtype is object else None
    if dtype is np.float32:
        elements = st.floats(width=32, allow_nan=False, allow_infinity=False)
    return draw(npst.arrays(dtype, draw(SHAPES), elements=elements))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=5), arrays(), min_size=1, max_size=3), st.booleans())
def test_tensors_come_back(values, raw):
    """What is written as an answer is read as a request of the same form."""
    wanted = dict.fromkeys(values, raw)
    answer = infer_messages.write(SERVED, "i", values, wanted)
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "3", "i")
    assert bool(answer.raw_output_contents) is raw
    inputs = [
        TENSOR(name=o.name, datatype=o.datatype, shape=o.shape, contents=None if raw else o.contents)
        for o in answer.outputs
    ]
    form = infer_messages.read(
        pb.ModelInferRequest(inputs=inputs, raw_input_contents=answer.raw_output_contents)
    )
    back = form.values
    assert back.keys() == values.keys() and form.binary is raw
    for name, array in values.items():
        np.testing.assert_array_equal(back[name], array, strict=True)


def test_an_answer_may_hold_an_infinity():
    values = {"log_likelihood": np.array([-np.inf], np.float32)}
    answer = infer_messages.write(SERVED, "", values, {"log_likelihood": False})
    assert list(answer.outputs[0].contents.fp32_contents) == [-np.inf]  # JSON cannot


UINTS, INTS, FLOATS, TEXTS = "uint_contents", "int64_contents", "fp32_contents", "bytes_contents"


@pytest.mark.parametrize(
    ("datatype", "shape", "contents", "told"),
    [
        ("UINT8", [1], {UINTS: [256]}, "no UINT8"),
        ("UINT8", [2], {UINTS: [1]}, r"shape \[2\] does not fit 1 values"),
        ("UINT8", [1], {INTS: [1]}, "UINT8 stands in uint_contents, not in int64_contents"),
        ("UINT8", [1], {UINTS: [1], FLOATS: [1.0]}, "not in fp32_contents"),
        ("UINT8", [1], {}, "does not fit 0 values"),
        ("FP32", [1], {FLOATS: [float("nan")]}, "no FP32"),
        ("FP32", [1], {FLOATS: [float("inf")]}, "no FP32"),
        ("FP64", [1], {"fp64_contents": [1.0]}, "no datatype 'FP64': UINT8, INT64, FP32, BYTES"),
        ("", [1], {}, "no datatype ''"),
        ("BYTES", [1], {TEXTS: [b"\xff"]}, "not UTF-8"),
        ("BYTES", [2], {TEXTS: [b"a"]}, "does not fit 1 values"),
        ("UINT8", [-1], {UINTS: [1]}, "lengths are whole numbers from 0"),
        ("UINT8", [2**62], {UINTS: [1]}, "lengths are whole numbers from 0"),
        ("UINT8", [1] * 9, {UINTS: [1]}, "at most 8 lengths"),
    ],
)
def test_contents_that_do_not_fit(datatype, shape, contents, told):
    refuses([TENSOR(name="t", datatype=datatype, shape=shape, contents=contents)], [], told)


@pytest.mark.parametrize(
    ("inputs", "raw", "told"),
    [
        ([{}], [b"1", b"2"], "2 raw_input_contents for 1 inputs"),
        ([{}, {"name": "u"}], [b"1"], "1 raw_input_contents for 2 inputs"),
        ([{}], [b"12"], r"UINT8 of shape \[1\] is 1 bytes, not 2"),
        ([{}, {}], [b"1", b"1"], "input 't' is given twice"),
        ([{"contents": {UINTS: [1]}}], [b"1"], "contents beside raw_input_contents"),
        ([{"datatype": "BYTES"}], [b"\x05\0\0\0a"], "longer than"),
        ([{"parameters": {"shared_memory_region": {"string_param": "r"}}}], [b"1"], "is not supported"),
    ],
)
def test_raw_that_does_not_fit(inputs, raw, told):
    refuses([TENSOR(**{"name": "t", "datatype": "UINT8", "shape": [1]} | one) for one in inputs], raw, told)


def refuses(inputs: list, raw: list[bytes], told: str) -> None:
    with pytest.raises(RequestError, match=told) as refused:
        infer_messages.read(pb.ModelInferRequest(inputs=inputs, raw_input_contents=raw))
    assert refused.value.reason is Reason.INVALID


def test_what_a_request_says():
    asked = pb.ModelInferRequest(
        id="i",
        parameters={"timeout": {"int64_param": 5}, "none": {}, "flag": {"bool_param": True}},
        outputs=[{"name": "a"}, {"name": "b", "parameters": {"binary_data": {"bool_param": True}}}],
    )
    form = infer_messages.read(asked)
    assert (form.id, form.timeout_s, form.outputs) == ("i", 5e-6, {"a": False, "b": False})
    assert infer_messages.read(pb.ModelInferRequest()).outputs is None
    asked.outputs[1].parameters["classification"].int64_param = 1
    with pytest.raises(RequestError, match="output 'b': classification is not supported"):
        infer_messages.read(asked)
    asked.parameters["sequence_id"].int64_param = 1
    with pytest.raises(RequestError, match="the request: sequence_id is not supported"):
        infer_messages.read(asked)
    for wrong in ({"int64_param": -1}, {"bool_param": True}, {"string_param": "5"}):
        with pytest.raises(RequestError, match="timeout: microseconds"):
            infer_messages.read(pb.ModelInferRequest(parameters={"timeout": wrong}))


def test_every_datatype_has_its_field():
    assert infer_messages.CONTENTS.keys() == set(tensors.DATATYPES.values())
    fields = pb.InferTensorContents.DESCRIPTOR.fields_by_name
    assert all(field in fields for field in infer_messages.CONTENTS.values())
