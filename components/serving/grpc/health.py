"""gRPC's own health service, which Kubernetes and proxies ask: no token is needed, as for REST's probes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from components.serving.grpc import health_pb2 as pb
from components.serving.grpc.endpoint import Endpoint
from components.serving.grpc.methods import SERVICE, Call, Method
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service

NAME = pb.DESCRIPTOR.services_by_name["Health"].full_name

LIVENESS = "liveness"
"""The service whose health says that the server lives, whether it is ready or not."""

_LOOK_S = 0.2


def handlers(service: Service, endpoint: Endpoint) -> dict[str, grpc.RpcMethodHandler]:
    """Return what answers the methods of the health service."""

    def status(name: str) -> pb.HealthCheckResponse.ServingStatus:
        if name not in ("", SERVICE, LIVENESS):
            return pb.HealthCheckResponse.SERVICE_UNKNOWN
        serves = name == LIVENESS or service.ready
        return pb.HealthCheckResponse.SERVING if serves else pb.HealthCheckResponse.NOT_SERVING

    async def check(asked: pb.HealthCheckRequest, call: Call) -> pb.HealthCheckResponse:
        found = status(asked.service)
        if found == pb.HealthCheckResponse.SERVICE_UNKNOWN:
            known = f"'', {SERVICE!r}, {LIVENESS!r}"
            raise RequestError(Reason.NOT_FOUND, f"no service {asked.service!r}: {known}")
        return pb.HealthCheckResponse(status=found)

    async def watch(asked: pb.HealthCheckRequest) -> AsyncIterator[pb.HealthCheckResponse]:
        told = None
        while True:
            found = status(asked.service)
            if found != told:
                told = found
                yield pb.HealthCheckResponse(status=found)
            if service.draining:
                return  # or the end would wait for those that watch
            await asyncio.sleep(_LOOK_S)

    return {
        "Check": endpoint.handler(Method("Check", pb.HealthCheckRequest, check, "open")),
        "Watch": endpoint.streaming_handler(Method("Watch", pb.HealthCheckRequest, watch, "open")),
    }
