"""Requests of every form, for fuzzing: hypothesis draws their parts, most of them almost right."""

from __future__ import annotations

from hypothesis import strategies as st

from components.serving.grpc import open_inference_grpc_pb2 as pb

_SMALL = st.integers(-2, 300)
_CONTENTS = st.builds(
    pb.InferTensorContents,
    bool_contents=st.lists(st.booleans(), max_size=2),
    int_contents=st.lists(_SMALL, max_size=2),
    int64_contents=st.lists(st.integers(-(2**63), 2**63 - 1) | _SMALL, max_size=3),
    uint_contents=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 255), max_size=17),
    uint64_contents=st.lists(st.integers(0, 2**64 - 1), max_size=2),
    fp32_contents=st.lists(st.floats(width=32), max_size=3),
    fp64_contents=st.lists(st.floats(), max_size=2),
    bytes_contents=st.lists(st.binary(max_size=4), max_size=3),
)
_PARAMETER = st.one_of(
    st.builds(pb.InferParameter, bool_param=st.booleans()),
    st.builds(pb.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
    st.builds(pb.InferParameter, string_param=st.text(max_size=4)),
    st.builds(pb.InferParameter, double_param=st.floats()),
    st.builds(pb.InferParameter, uint64_param=st.integers(0, 2**64 - 1)),
    st.builds(pb.InferParameter),
)
_PARAMETERS = st.dictionaries(
    st.sampled_from(["timeout", "shared_memory_region", "sequence_id", "binary_data", "priority"])
    | st.text(max_size=3),
    _PARAMETER,
    max_size=2,
)
_NAMES = st.sampled_from(
    ["image", "seed", "count", "label", "landmarks", "shots", "size", "prompt"]
) | st.text(max_size=4)
_INPUT = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=_NAMES,
    datatype=st.sampled_from(["UINT8", "INT64", "FP32", "BYTES", "FP64", ""]) | st.text(max_size=4),
    shape=st.sampled_from([[1, 4, 4, 1], [1], [1, 2], [0, 4, 4, 1]])
    | st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 5), max_size=10),
    parameters=st.just({}) | _PARAMETERS,
    contents=st.none() | _CONTENTS,
)
_OUTPUT = st.builds(
    pb.ModelInferRequest.InferRequestedOutputTensor,
    name=st.sampled_from(["probabilities", "image", "text", "mask"]) | st.text(max_size=4),
    parameters=st.just({}) | _PARAMETERS,
)


def requests(models: list[str]) -> st.SearchStrategy[pb.ModelInferRequest]:
    """Return requests to one of ``models``, or to one that is not there."""
    return st.builds(
        pb.ModelInferRequest,
        model_name=st.sampled_from(models) | st.text(max_size=4),
        model_version=st.sampled_from(["", "1", "2"]) | st.text(max_size=4),
        id=st.text(max_size=4),
        parameters=st.just({}) | _PARAMETERS,
        inputs=st.lists(_INPUT, max_size=3),
        outputs=st.just([]) | st.lists(_OUTPUT, max_size=2),
        raw_input_contents=st.just([]) | st.lists(st.binary(max_size=20) | st.just(bytes(16)), max_size=3),
    )
