"""Requests and answers of inference as messages: tensors are raw bytes beside the description, or typed within it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from components.bundles.signature import Arrays
from components.serving.engine.served_version import ServedVersion
from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.request_error import Reason, RequestError
from components.serving.v2 import infer_request, tensors
from components.serving.v2.infer_request import InferRequest

CONTENTS = {
    "UINT8": "uint_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "BYTES": "bytes_contents",
}
"""The field of typed contents by datatype."""


def read(asked: pb.ModelInferRequest) -> InferRequest:
    """Return what a request says, with its input tensors. Outputs are to be raw where its inputs are.

    Raises:
        RequestError: a tensor is not as its datatype and shape say, is given twice, or is both raw and typed; or an
            extension is asked for that is not here (INVALID).
    """
    raw = bool(asked.raw_input_contents)
    parameters = infer_request.parameters_of({"parameters": _plain(asked.parameters)}, "the request")
    outputs = [{"name": output.name, "parameters": _plain(output.parameters)} for output in asked.outputs]
    named = infer_request.outputs_of(outputs, raw)
    return InferRequest(
        id=asked.id,
        values=_inputs(asked),
        raw=(),
        size=0,
        outputs=dict.fromkeys(named, raw) if named else None,  # raw is said of all or of none
        binary=raw,
        timeout_s=infer_request.timeout_s(parameters),
    )


def write(
    served: ServedVersion, id: str, outputs: Arrays, wanted: Mapping[str, bool]
) -> pb.ModelInferResponse:
    """Return the response with the wanted outputs, all of them raw or all of them typed."""
    answer = pb.ModelInferResponse(model_name=served.name, model_version=served.version, id=id)
    if served.says_precision:
        answer.parameters["precision"].string_param = served.bundle.precision
    for name, raw in wanted.items():
        values = outputs[name]
        datatype = tensors.datatype_of(values)
        tensor = answer.outputs.add(name=name, datatype=datatype, shape=values.shape)
        if raw:
            answer.raw_output_contents.append(tensors.to_bytes(values))
        else:
            listed: Iterable[Any] = tensors.to_list(values)
            if datatype == "BYTES":
                listed = (text.encode() for text in listed)
            getattr(tensor.contents, CONTENTS[datatype]).extend(listed)
    return answer


def _inputs(asked: pb.ModelInferRequest) -> Arrays:
    raw, inputs = asked.raw_input_contents, {}
    if raw and len(raw) != len(asked.inputs):
        raise RequestError(
            Reason.INVALID, f"{len(raw)} raw_input_contents for {len(asked.inputs)} inputs: one for each"
        )
    for place, tensor in enumerate(asked.inputs):
        name = tensor.name
        if name in inputs:
            raise RequestError(Reason.INVALID, f"input {name!r} is given twice")
        infer_request.parameters_of({"parameters": _plain(tensor.parameters)}, f"input {name!r}")
        shape = tensors.shape_of(name, list(tensor.shape))
        if not raw:
            inputs[name] = _typed(tensor, shape)
        elif tensor.HasField("contents"):
            raise RequestError(Reason.INVALID, f"input {name!r}: has contents beside raw_input_contents")
        else:
            inputs[name] = tensors.from_bytes(name, tensor.datatype, shape, memoryview(raw[place]))
    return inputs


def _typed(tensor: pb.ModelInferRequest.InferInputTensor, shape: tuple[int, ...]) -> np.ndarray:
    """Return a tensor of typed contents."""
    name, wanted = tensor.name, CONTENTS.get(tensor.datatype)
    for field, _ in tensor.contents.ListFields():
        if wanted is not None and field.name != wanted:
            raise RequestError(
                Reason.INVALID, f"input {name!r}: {tensor.datatype} stands in {wanted}, not in {field.name}"
            )
    values = getattr(tensor.contents, wanted) if wanted else ()
    if tensor.datatype == "BYTES":
        return tensors.from_list(name, "BYTES", shape, [tensors.decoded(name, text) for text in values])
    return tensors.from_numbers(name, tensor.datatype, shape, np.array(values))


def _plain(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    """Return parameters as plain values; None where one has none."""
    plain = {}
    for name, parameter in parameters.items():
        choice = parameter.WhichOneof("parameter_choice")
        plain[name] = getattr(parameter, choice) if choice else None
    return plain
