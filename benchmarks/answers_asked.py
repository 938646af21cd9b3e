"""What ``answers.py`` asks: every route and call, of every bundle, with what is right and what is wrong."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import numpy as np
from PIL import Image

from components.bundles import golden
from components.bundles.bundle import DESCRIPTION, GOLDEN
from components.serving.grpc import open_inference_grpc_pb2 as pb

DATATYPES = {"uint8": "UINT8", "int64": "INT64", "float32": "FP32", "object": "BYTES"}
CONTENTS = {"uint8": "uint_contents", "int64": "int64_contents", "float32": "fp32_contents"}
HEADER = "Inference-Header-Content-Length"

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Request:
    """One request over HTTP."""

    title: str
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One call over gRPC, its message serialized."""

    title: str
    method: str
    content: bytes


def requests(bundles: Mapping[str, Path]) -> Iterator[Request]:
    """Yield the requests over HTTP."""
    for path in ("/", "/v2", "/v2/health/live", "/v2/health/ready", "/models", "/openapi.json", "/nothing"):
        yield _get(path)
    for name, folder in bundles.items():
        description, inputs = _golden(folder)
        yield from _about(name)
        yield from _inferred(name, inputs, [output["name"] for output in description["outputs"]])
        yield from _mistaken(name, inputs)
        yield from _for_people(name, inputs)
    for path in ("/v2/models/no-such-model", "/models/no-such-model", "/v2/models/stats", "/metrics"):
        yield _get(path)
    yield Request("index", "POST", "/v2/repository/index", b"{}")
    yield Request("DELETE /v2", "DELETE", "/v2")
    name = next(iter(bundles))
    for action in ("unload", "load"):
        yield Request(f"{action} {name}", "POST", f"/v2/repository/models/{name}/{action}", b"{}")
        yield _get(f"/v2/models/{name}/ready")


def calls(bundles: Mapping[str, Path]) -> Iterator[Call]:
    """Yield the calls over gRPC."""
    for method in ("ServerLive", "ServerReady", "ServerMetadata"):
        yield Call(f"gRPC {method}", method, b"")
    for name in (*bundles, "no-such-model"):
        for method in ("ModelReady", "ModelMetadata"):
            message = getattr(pb, f"{method}Request")(name=name)
            yield Call(f"gRPC {method} {name}", method, message.SerializeToString())
    for name, folder in bundles.items():
        _, inputs = _golden(folder)
        infer = {
            "raw": _message(name, inputs),
            "raw, one row": _message(name, _first_row(inputs)),
            "fields": _message(name, inputs, raw=False),
            "with an id": _message(name, inputs, id="asked"),
            "of no such version": _message(name, inputs, model_version="999"),
            "of no such output": _message(name, inputs, outputs=[{"name": "none"}]),
            "without inputs": _message(name, {}),
            "of another type": _message(name, {key: np.float64(0.5) + np.zeros(2) for key in inputs}),
            "of another shape": _message(
                name, {key: values.reshape(-1)[:1] for key, values in inputs.items()}
            ),
            "of an unknown input": _message(name, {**inputs, "unknown": np.zeros(1, np.int64)}),
            "cut short": _message(name, inputs, cut=1),
        }
        for title, message in infer.items():
            yield Call(f"gRPC infer {name} {title}", "ModelInfer", message.SerializeToString())
    message = _message("no-such-model", {})
    yield Call("gRPC infer no-such-model", "ModelInfer", message.SerializeToString())


def _golden(folder: Path) -> tuple[dict[str, Any], Inputs]:
    description = json.loads((folder / DESCRIPTION).read_text())
    texts = {tensor["name"] for tensor in description["inputs"] if tensor["dtype"] == "string"}
    inputs, _ = golden.read((folder / GOLDEN).read_bytes(), texts)
    # The file keeps no order of its own.
    return description, {tensor["name"]: inputs[tensor["name"]] for tensor in description["inputs"]}


def _get(path: str, **headers: str) -> Request:
    return Request(f"GET {path} {headers or ''}".strip(), "GET", path, headers=headers)


def _about(name: str) -> Iterator[Request]:
    for path in ("", "/config", "/ready", "/stats", "/versions/1", "/versions/999", "/versions/999/ready"):
        yield _get(f"/v2/models/{name}{path}")
    for path in ("", "/examples/0", "/examples/1", "/examples/999", "/examples/x"):
        yield _get(f"/models/{name}{path}")


def _inferred(name: str, inputs: Inputs, outputs: list[str]) -> Iterator[Request]:
    one = _first_row(inputs)
    yield _infer(name, "JSON", _json(inputs))
    yield _infer(name, "JSON, one row", _json(one))
    yield _infer(name, "JSON, flat", _json(inputs, flat=True))
    yield _infer(
        name, "JSON, one output and an id", _json(inputs, id="asked", outputs=[{"name": outputs[-1]}])
    )
    yield _infer(name, "JSON, raw answer", _json(inputs, parameters={"binary_data_output": True}))
    for title, given in (("binary", inputs), ("binary, one row", one)):
        yield _binary(name, title, given, parameters={"binary_data_output": True})
    yield _binary(name, "binary, answer in JSON", inputs)
    raw = [{"name": outputs[0], "parameters": {"binary_data": True}}]
    yield _binary(name, "binary, one raw output", inputs, outputs=raw)


def _mistaken(name: str, inputs: Inputs) -> Iterator[Request]:
    first, *_ = inputs
    tensors = _json(inputs)["inputs"]
    broken = {
        "no inputs": {},
        "no such output": _json(inputs, outputs=[{"name": "none"}]),
        "an input missing": {"inputs": tensors[1:]},
        "an input twice": {"inputs": [*tensors, tensors[0]]},
        "an unknown input": {"inputs": [*tensors, {**tensors[0], "name": f"{first}s"}]},
        "another type": {"inputs": [{**tensors[0], "datatype": "FP64"}, *tensors[1:]]},
        "no such type": {"inputs": [{**tensors[0], "datatype": "uint8"}, *tensors[1:]]},
        "another shape": {"inputs": [{**tensors[0], "shape": [1, 2, 3]}, *tensors[1:]]},
        "a negative shape": {"inputs": [{**tensors[0], "shape": [-1]}, *tensors[1:]]},
        "values missing": {"inputs": [{**tensors[0], "data": tensors[0]["data"][:-1]}, *tensors[1:]]},
        "values of another kind": {"inputs": [{**tensors[0], "data": [None]}, *tensors[1:]]},
        "an unknown parameter": _json(inputs, parameters={"unknown": 1}),
        "a parameter of another kind": _json(inputs, parameters={"binary_data_output": "yes"}),
    }
    for title, body in broken.items():
        yield _infer(name, title, body)
    path = f"/v2/models/{name}/infer"
    for title, body in (
        ("nothing", b""),
        ("no JSON", b'{"inputs": ['),
        ("a list", b"[]"),
        ("no text", b"\xff"),
    ):
        yield Request(f"infer {name}: {title}", "POST", path, body)
    for length in ("7", "x", "999999999"):
        request = _binary(name, "binary", inputs)
        yield Request(f"infer {name}: {HEADER}: {length}", "POST", path, request.body, {HEADER: length})
    request = _binary(name, "binary", inputs)
    yield Request(f"infer {name}: binary, cut", "POST", path, request.body[:-1], request.headers)
    yield _get(path)
    yield _infer(f"{name}/versions/999", "no such version", _json(inputs))


def _for_people(name: str, inputs: Inputs) -> Iterator[Request]:
    path = f"/models/{name}"
    picture = _png(inputs["image"][0] if "image" in inputs else np.zeros((8, 8, 1), np.uint8))
    prompt = quote_plus(str(inputs["prompt"][0])) if "prompt" in inputs else "a"
    landmarks = (
        quote_plus(json.dumps(inputs["landmarks"][0].tolist())) if "landmarks" in inputs else "[[0.5,0.5]]"
    )
    queries = ["", "?seed=3", f"?prompt={prompt}", f"?prompt={prompt}&seed=3", f"?landmarks={landmarks}"]
    queries += [
        "?seed=x",
        "?unknown=1",
        "?prompt=",
        "?prompt=unheard+of",
        "?landmarks=[1",
        "?label=0",
        "?seed=3&count=2",
    ]
    for query in queries:
        for accept in ({}, {"Accept": "application/json"}):
            yield Request(
                f"predict {name}{query} {accept or ''}", "POST", f"{path}/predict{query}", picture, accept
            )
            yield _get(f"{path}/generate{query}", **accept)
    for count in ("0", "999999", "-1"):
        yield _get(f"{path}/generate?count={count}&prompt={prompt}")
    for title, body in (
        ("nothing", b""),
        ("no picture", b"no picture"),
        ("half", picture[: len(picture) // 2]),
    ):
        yield Request(f"predict {name}: {title}", "POST", f"{path}/predict", body)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    yield Request(f"predict {name}: a form", "POST", f"{path}/predict", picture, form)


def _first_row(inputs: Inputs) -> Inputs:
    """Return one row of each input; what is not by rows (a seed) has one anyway."""
    return {name: values[:1] for name, values in inputs.items()}


def _infer(name: str, title: str, body: dict[str, Any]) -> Request:
    return Request(f"infer {name}: {title}", "POST", f"/v2/models/{name}/infer", json.dumps(body).encode())


def _json(inputs: Inputs, flat: bool = False, **further: Any) -> dict[str, Any]:
    tensors = [
        {**_head(name, values), "data": (values.reshape(-1) if flat else values).tolist()}
        for name, values in inputs.items()
    ]
    return {"inputs": tensors, **further}


def _head(name: str, values: np.ndarray) -> dict[str, Any]:
    return {"name": name, "datatype": DATATYPES.get(values.dtype.name, "FP64"), "shape": list(values.shape)}


def _binary(name: str, title: str, inputs: Inputs, **further: Any) -> Request:
    contents = {key: _raw(values) for key, values in inputs.items()}
    tensors = [
        {**_head(key, values), "parameters": {"binary_data_size": len(contents[key])}}
        for key, values in inputs.items()
    ]
    head = json.dumps({"inputs": tensors, **further}).encode()
    headers = {HEADER: str(len(head)), "Content-Type": "application/octet-stream"}
    body = head + b"".join(contents.values())
    return Request(f"infer {name}: {title}", "POST", f"/v2/models/{name}/infer", body, headers)


def _message(
    name: str, inputs: Inputs, raw: bool = True, cut: int = 0, **further: Any
) -> pb.ModelInferRequest:
    """Return gRPC's question, its tensors as bytes or in typed fields, the last ``cut`` bytes left out."""
    message = pb.ModelInferRequest(model_name=name, **further)
    for key, values in inputs.items():
        tensor = message.inputs.add(**_head(key, values))
        if raw:
            content = _raw(values)
            message.raw_input_contents.append(content[: len(content) - cut])
        elif values.dtype == object:
            tensor.contents.bytes_contents.extend(text.encode() for text in values.reshape(-1))
        else:
            getattr(tensor.contents, CONTENTS[values.dtype.name]).extend(values.reshape(-1).tolist())
    return message


def _raw(values: np.ndarray) -> bytes:
    """Return a tensor's bytes; texts each with their length before them."""
    if values.dtype != object:
        return values.tobytes()
    encoded = [text.encode() for text in values.reshape(-1)]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def _png(image: np.ndarray) -> bytes:
    """Return an image uint8 [H, W, 1 or 3] as a file."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()
