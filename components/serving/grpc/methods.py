"""The methods of the service: each asks what REST's route of the same meaning asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from components.serving.grpc import infer_messages
from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.http.routing import Access
from components.serving.request_error import RequestError
from components.serving.routes import inference, metadata
from components.serving.service import Service

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name


@dataclass
class Call:
    """A call, as a method sees it.

    Attributes:
        timeout_s: seconds that are left of the client's deadline; None where it has none.
        id: its name in the log.
        headers: its metadata, by name in lower case.
        model: ``(name, version)`` for metrics and logs; the method sets it, the version when it is known.
    """

    timeout_s: float | None = None
    id: str = ""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    model: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: as the protocol has it.
        asked: the message that it takes.
        handler: what answers; or yields the answers, if there are several.
        access: who may ask, where the server has tokens.
    """

    name: str
    asked: type[Message]
    handler: Callable[[Any, Call], Awaitable[Message]] | Callable[[Any], AsyncIterator[Message]]
    access: Access = "read"


def methods(service: Service) -> list[Method]:
    """Return the methods of the service; probes need no token."""
    repository = service.repository

    async def live(asked: pb.ServerLiveRequest, call: Call) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ready(asked: pb.ServerReadyRequest, call: Call) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=service.ready)

    async def model_ready(asked: pb.ModelReadyRequest, call: Call) -> pb.ModelReadyResponse:
        call.model = asked.name, ""
        try:
            repository.get(asked.name, asked.version or None)
        except RequestError:
            if not repository.knows(asked.name):
                raise
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def server_metadata(asked: pb.ServerMetadataRequest, call: Call) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name=metadata.NAME, version=metadata.VERSION)

    async def model_metadata(asked: pb.ModelMetadataRequest, call: Call) -> pb.ModelMetadataResponse:
        call.model = asked.name, ""
        served = repository.get(asked.name, asked.version or None)
        told = metadata.described(served)
        return pb.ModelMetadataResponse(properties=told.pop("parameters"), **told)

    async def infer(asked: pb.ModelInferRequest, call: Call) -> pb.ModelInferResponse:
        call.model = asked.model_name, ""
        served = repository.get(asked.model_name, asked.model_version or None)
        call.model = served.labels
        request = infer_messages.read(asked)
        wanted = inference.wanted_outputs(request, served)
        limits = [limit for limit in (request.timeout_s, call.timeout_s) if limit is not None]
        timeout_s = min(limits, default=None)
        challenger = None if asked.model_version else service.canaries.chosen(served, call.headers, call.id)
        if challenger is not None:
            served, outputs = await service.canaries.answer(served, challenger, request.values, timeout_s)
            call.model, wanted = served.labels, inference.wanted_outputs(request, served)
            service.predictions.offer(served, request.id or call.id, request.values, outputs)
        else:
            outputs, job = await served.infer(request.values, timeout_s)
            service.answered(served, request.id or call.id, job, outputs)
        return infer_messages.write(served, request.id, outputs, wanted)

    return [
        Method("ServerLive", pb.ServerLiveRequest, live, "open"),
        Method("ServerReady", pb.ServerReadyRequest, ready, "open"),
        Method("ModelReady", pb.ModelReadyRequest, model_ready),
        Method("ServerMetadata", pb.ServerMetadataRequest, server_metadata),
        Method("ModelMetadata", pb.ModelMetadataRequest, model_metadata),
        Method("ModelInfer", pb.ModelInferRequest, infer),
    ]
