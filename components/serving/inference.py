"""``POST /v2/models/{model}/infer``: tensors in, tensors out, each as JSON or as raw bytes behind the JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from components.serving import tensors
from components.serving.messages import Refused, Request, Response, parse_json
from components.serving.routing import Route
from components.serving.service import Service
from components.serving.version import ServedVersion
from components.tasks import Arrays

MAX_JSON = 4 << 20
"""Most bytes of JSON in a request. Reading it holds up all others: four million bytes do so for a tenth of a second."""

_HEADER = b"inference-header-content-length"
_BINARY = b"application/octet-stream"
_NOT_HERE = ("shared_memory_region", "classification", "sequence_id")


def routes(service: Service) -> list[Route]:
    """Return the routes of inference."""

    async def infer(request: Request) -> Response:
        served = service.repository.get(request.parameters["model"], request.parameters.get("version"))
        request.model = served.labels
        asked, inputs = read(request)
        wanted = wanted_outputs(asked, served)
        outputs = await served.infer(inputs, patience_s(asked))
        service.shadow.offer(served, inputs, outputs)
        return write(served, asked.get("id"), outputs, wanted)

    return [
        Route("POST", "/v2/models/{model}/infer", infer),
        Route("POST", "/v2/models/{model}/versions/{version}/infer", infer),
    ]


def read(request: Request) -> tuple[dict[str, Any], Arrays]:
    """Return the JSON part of a request, and its input tensors by name.

    Raises:
        Refused: it is not of the protocol's form (400), or has too much JSON (413).
    """
    content, length = memoryview(request.body), len(request.body)
    if (header := request.header(_HEADER)) is not None:
        if not header.isdigit() or len(header) > 12 or int(header) > length:
            raise Refused(400, f"Inference-Header-Content-Length: a number up to {length}, the body's length")
        length = int(header)
    if length > MAX_JSON:
        raise Refused(413, f"{length} bytes of JSON; at most {MAX_JSON}: send tensors raw, behind the JSON")
    asked = parse_json(content[:length])
    if not isinstance(asked, dict) or not isinstance(asked.get("inputs"), list):
        raise Refused(400, "the request is a JSON object with a list of 'inputs'")
    inputs: Arrays = {}
    for entry in asked["inputs"]:
        if not isinstance(entry, dict) or not isinstance(name := entry.get("name"), str):
            raise Refused(400, "each input is a JSON object with a 'name'")
        if name in inputs:
            raise Refused(400, f"input {name!r} is given twice")
        inputs[name], length = _tensor(name, entry, content, length)
    if length != len(content):
        raise Refused(400, f"{len(content) - length} bytes after the last tensor")
    return asked, inputs


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
    if id is not None:
        answer["id"] = id
    header = orjson.dumps(answer)
    if not raw:
        return Response(header)
    length = (_HEADER, str(len(header)).encode())
    return Response(b"".join((header, *raw)), content_type=_BINARY, headers=[length])


def wanted_outputs(asked: dict[str, Any], served: ServedVersion) -> dict[str, bool]:
    """Return the outputs that are asked for, and whether each is to be raw; all of them where none is named.

    Raises:
        Refused: there is no such output, or what is asked of it is not supported (400).
    """
    binary = bool(parameters_of(asked, "the request").get("binary_data_output", False))
    known = [tensor.name for tensor in served.bundle.graph.outputs]
    if (named := asked.get("outputs")) is None:
        return dict.fromkeys(known, binary)
    if not isinstance(named, list):
        raise Refused(400, "'outputs' is a list")
    wanted = {}
    for entry in named:
        name = entry.get("name") if isinstance(entry, dict) else None
        if name not in known:
            raise Refused(400, f"no output {name!r}: {', '.join(known)}")
        wanted[name] = bool(parameters_of(entry, f"output {name!r}").get("binary_data", binary))
    return wanted or dict.fromkeys(known, binary)


def patience_s(asked: dict[str, Any]) -> float | None:
    """Return the request's own limit: ``timeout`` in microseconds, as Triton has it.

    Raises:
        Refused: it is no whole number from 0 (400).
    """
    timeout = (asked.get("parameters") or {}).get("timeout")
    if timeout is None:
        return None
    if type(timeout) is not int or timeout < 0:
        raise Refused(400, "parameters.timeout: microseconds, a whole number")
    return timeout / 1e6 or None


def parameters_of(entry: dict[str, Any], what: str) -> dict[str, Any]:
    """Return the ``parameters`` of an entry, which ``what`` calls by name.

    Raises:
        Refused: they are no object, or ask for an extension that is not here (400).
    """
    parameters = entry.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Refused(400, f"{what}: 'parameters' is a JSON object")
    for name in _NOT_HERE:
        if name in parameters:
            raise Refused(400, f"{what}: {name} is not supported")
    return parameters


def _tensor(name: str, entry: dict[str, Any], content: memoryview, start: int) -> tuple[np.ndarray, int]:
    """Return one input, and where the raw bytes of the next one start."""
    shape = tensors.shape_of(name, entry.get("shape"))
    parameters = parameters_of(entry, f"input {name!r}")
    size = parameters.get("binary_data_size")
    if size is None:
        return tensors.from_list(name, entry.get("datatype"), shape, entry.get("data")), start
    if type(size) is not int or not 0 <= size <= len(content) - start:
        left = len(content) - start
        raise Refused(
            400, f"input {name!r}: binary_data_size: a number up to {left}, the bytes that are left"
        )
    if "data" in entry:
        raise Refused(400, f"input {name!r}: has both 'data' and 'binary_data_size'")
    return tensors.from_bytes(name, entry.get("datatype"), shape, content[start : start + size]), start + size


def _refuse_infinities(model: str, name: str, values: np.ndarray) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Refused(500, f"{model} gave an infinity for {name!r}, which JSON cannot hold")
