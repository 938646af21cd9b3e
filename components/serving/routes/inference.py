"""``POST /v2/models/{model}/infer``: tensors in, tensors out, each as JSON or as raw bytes behind the JSON."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import numpy as np
import orjson

from components.bundles.signature import Arrays
from components.serving.engine.served_version import ServedVersion
from components.serving.http.messages import Later, Request, Response
from components.serving.http.routing import Route
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service
from components.serving.v2 import tensors
from components.serving.v2.infer_request import InferRequest, InferRequestCache

MAX_JSON = 4 << 20
"""Most bytes of JSON in a request. Reading it holds up all others: four million bytes do so for a tenth of a second."""

_LONGEST = 128  # characters of a client's own id
_HEADER = b"inference-header-content-length"
_BINARY = b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n"


def routes(service: Service) -> list[Route]:
    """Return the routes of inference."""
    cache = InferRequestCache()

    def infer(request: Request) -> Later | Awaitable[Response]:
        version = request.parameters.get("version")
        served = service.repository.get(request.parameters["model"], version)
        request.model = served.labels
        asked, inputs = read(request, cache)
        wanted = wanted_outputs(asked, served)
        if version is None and (challenger := service.canaries.chosen(served, request.headers, request.id)):
            return tried(request, served, challenger, asked, inputs)
        job = served.submit(inputs, asked.timeout_s)

        def finish() -> Response:
            outputs = served.result(job)
            service.answered(served, name_of(asked, request.id), job, outputs)
            return write(served, asked.id, outputs, wanted)

        return Later(job, finish)

    async def tried(
        request: Request,
        served: ServedVersion,
        challenger: ServedVersion,
        asked: InferRequest,
        inputs: Arrays,
    ) -> Response:
        answered, outputs = await service.canaries.answer(served, challenger, inputs, asked.timeout_s)
        request.model = answered.labels
        service.predictions.offer(answered, name_of(asked, request.id), inputs, outputs)
        return write(answered, asked.id, outputs, wanted_outputs(asked, answered))

    return [
        Route("POST", "/v2/models/{model}/infer", infer),
        Route("POST", "/v2/models/{model}/versions/{version}/infer", infer),
    ]


def read(request: Request, cache: InferRequestCache) -> tuple[InferRequest, Arrays]:
    """Return what a request says, and its input tensors by name.

    Raises:
        RequestError: it is not of the protocol's form (400), or has too much JSON (413).
    """
    body, length = request.body, len(request.body)
    header = request.headers.get(_HEADER)
    if header is None:
        content = body
    else:
        if not header.isdigit() or len(header) > 12 or int(header) > length:
            raise RequestError(
                Reason.INVALID, f"Inference-Header-Content-Length: a number up to {length}, the body's length"
            )
        length = int(header)
        content = body[:length]
    if length > MAX_JSON:
        raise RequestError(
            Reason.TOO_LARGE, f"{length} bytes of JSON; at most {MAX_JSON}: send tensors raw, behind the JSON"
        )
    asked = cache.read(content)
    return asked, asked.inputs(body, length)


def name_of(asked: InferRequest, id: str) -> str:
    """Return what a request is remembered by: the client's own ``id`` in the protocol, or its name in the log."""
    return str(asked.id)[:_LONGEST] if asked.id else id


def write(served: ServedVersion, id: Any, outputs: Arrays, wanted: dict[str, bool]) -> Response:
    """Return the response: of each wanted output its tensor, raw where its value in ``wanted`` is true."""
    described, raw = [], []
    for name, binary in wanted.items():
        values = outputs[name]
        entry: dict[str, Any] = {
            "name": name,
            "datatype": tensors.datatype_of(values),
            "shape": values.shape,
        }
        if binary:
            raw.append(tensors.to_bytes(values))
            entry["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            _refuse_infinities(served.name, name, values)
            entry["data"] = tensors.to_list(values)
        described.append(entry)
    answer = {"model_name": served.name, "model_version": served.version, "outputs": described}
    if served.says_precision:
        answer["parameters"] = {"precision": served.bundle.precision}
    if id is not None:
        answer["id"] = id
    said = orjson.dumps(answer)
    return Response(b"".join((said, *raw)), _BINARY % len(said)) if raw else Response(said)


def wanted_outputs(asked: InferRequest, served: ServedVersion) -> dict[str, bool]:
    """Return the outputs that are asked for, and whether each is to be raw; all of them where none is named.

    Raises:
        RequestError: there is no such output (400).
    """
    known = served.outputs
    if asked.outputs is None:
        return dict.fromkeys(known, asked.binary)
    for name in asked.outputs:
        if name not in known:
            raise RequestError(Reason.INVALID, f"no output {name!r}: {', '.join(known)}")
    return asked.outputs


def _refuse_infinities(model: str, name: str, values: np.ndarray) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise RequestError(Reason.FAILED, f"{model} gave an infinity for {name!r}, which JSON cannot hold")
