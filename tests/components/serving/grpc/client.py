"""A plain client: the protocol's messages over a channel."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
from google.protobuf.message import Message

from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.grpc.methods import SERVICE
from tests.components.serving import server
from tests.components.serving.server import DATATYPES, texts

TIMEOUT_S = 30
FIELDS = {
    "UINT8": "uint_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "BYTES": "bytes_contents",
}


class Caller:
    """Calls methods over one connection of its own."""

    def __init__(self, port: int, token: str | None = None) -> None:
        # Channels of one process would share a connection, and with it a worker.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        self._metadata = [("authorization", f"Bearer {token}")] if token else []

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, asked: Message, **options: Any) -> Any:
        """Call the method that takes such a message and return its answer."""
        return self.start(asked, **options).result()

    def start(self, asked: Message, **options: Any) -> grpc.Future:
        name = asked.DESCRIPTOR.name.removesuffix("Request")
        answer = getattr(pb, f"{name}Response")
        return self.start_bytes(name, asked.SerializeToString(), answer, **options)

    def start_bytes(self, name: str, content: bytes, answer: Any, metadata=(), **options: Any) -> grpc.Future:
        call = self._channel.unary_unary(f"/{SERVICE}/{name}", response_deserializer=answer.FromString)
        options = {"timeout": TIMEOUT_S} | options
        return call.future(content, metadata=[*self._metadata, *metadata], **options)

    def refused(self, asked: Message, **options: Any) -> tuple[str, str]:
        """Call what is refused, and return code and details."""
        return told(self.start(asked, **options))


def told(call: grpc.Future) -> tuple[str, str]:
    """Return the code and the details of a call that fails."""
    error = call.exception()
    assert error is not None, call.result()
    return error.code().name, error.details()


def asked(
    model: str, inputs: dict[str, np.ndarray], *, raw: bool = True, **more: Any
) -> pb.ModelInferRequest:
    """Return a request with raw or typed tensors."""
    request = pb.ModelInferRequest(model_name=model, **more)
    for name, values in inputs.items():
        datatype = DATATYPES[values.dtype.name]
        tensor = request.inputs.add(name=name, datatype=datatype, shape=values.shape)
        if raw:
            request.raw_input_contents.append(server.raw(values))
        else:
            listed = values.reshape(-1).tolist()
            listed = [text.encode() for text in listed] if datatype == "BYTES" else listed
            getattr(tensor.contents, FIELDS[datatype]).extend(listed)
    return request


def outputs(answer: pb.ModelInferResponse) -> dict[str, np.ndarray]:
    """Return the tensors of an answer, raw or typed."""
    found = {}
    for place, tensor in enumerate(answer.outputs):
        dtype = {"UINT8": "uint8", "INT64": "int64", "FP32": "float32", "BYTES": object}[tensor.datatype]
        if answer.raw_output_contents:
            raw = answer.raw_output_contents[place]
            values = texts(raw) if tensor.datatype == "BYTES" else np.frombuffer(raw, dtype)
        else:
            ((_, contents),) = tensor.contents.ListFields()
            listed = [text.decode() for text in contents] if tensor.datatype == "BYTES" else list(contents)
            values = np.array(listed, dtype)
        found[tensor.name] = values.reshape(tuple(tensor.shape))
    return found
