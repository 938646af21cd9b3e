"""``/v2`` and ``/v2/models/{model}``: what the server and its models are."""

from __future__ import annotations

from typing import Any

from components.bundles.signature import Tensor
from components.serving.engine.served_version import ServedVersion
from components.serving.http.messages import Request, Response
from components.serving.http.routing import Route
from components.serving.service import Service
from components.serving.v2.tensors import DATATYPES

NAME = "darkroom"
VERSION = "0.1.0"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
_CONFIG_TYPES = {"BYTES": "TYPE_STRING"}


def routes(service: Service) -> list[Route]:
    """Return the routes of metadata."""

    async def server(request: Request) -> Response:
        return Response.json({"name": NAME, "version": VERSION, "extensions": EXTENSIONS})

    async def model(request: Request) -> Response:
        served = service.repository.get(request.parameters["model"], request.parameters.get("version"))
        return Response.json(described(served))

    async def config(request: Request) -> Response:
        served = service.repository.get(request.parameters["model"], request.parameters.get("version"))
        return Response.json(_config(served))

    return [
        Route("GET", "/v2", server),
        Route("GET", "/v2/models/{model}", model),
        Route("GET", "/v2/models/{model}/versions/{version}", model),
        Route("GET", "/v2/models/{model}/config", config),
        Route("GET", "/v2/models/{model}/versions/{version}/config", config),
    ]


def described(served: ServedVersion) -> dict[str, Any]:
    """Return what the protocol tells of a model."""
    description = served.bundle.description
    told = {
        "task": description["task"],
        "bundle_sha256": served.bundle.sha256,
        "precision": served.bundle.precision,
    }
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": "onnxruntime_onnx",
        "inputs": [_tensor(tensor) for tensor in served.bundle.graph.inputs],
        "outputs": [_tensor(tensor) for tensor in served.bundle.graph.outputs],
        "parameters": told,
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": tensor.shape}


def _config(served: ServedVersion) -> dict[str, Any]:
    """Return Triton's model configuration, as far as it says something here."""
    rows = served.settings.max_batch if served.queue.stacks else 0

    def of(tensor: Tensor) -> dict[str, Any]:
        datatype = DATATYPES[tensor.dtype]
        dims = tensor.shape[1:] if rows else tensor.shape
        return {
            "name": tensor.name,
            "data_type": _CONFIG_TYPES.get(datatype, f"TYPE_{datatype}"),
            "dims": dims,
        }

    return {
        "name": served.name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": rows,
        "input": [of(tensor) for tensor in served.bundle.graph.inputs],
        "output": [of(tensor) for tensor in served.bundle.graph.outputs],
    }
