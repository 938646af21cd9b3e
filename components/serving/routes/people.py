"""``/models``: what is served, for people and scripts. An image file in, JSON or a PNG out.

A picture is the body itself (``curl --data-binary @picture.png``): PNG, JPEG or WebP by its content. Answers that are
pictures are PNG files, all others JSON; with ``Accept: application/json`` pictures are ``data:`` URLs in JSON, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import numpy as np

from components.bundles.bundle import Bundle
from components.bundles.signature import Arrays
from components.pipelines import postprocess, tasks
from components.pipelines.postprocess import Answer
from components.pipelines.tasks import Given, Interface, Prepared, Takes
from components.serving.engine import limits
from components.serving.engine.served_version import ServedVersion
from components.serving.http.messages import JSON, Request, Response, head
from components.serving.http.routing import Route
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service
from components.tasks import TASKS
from data.errors import UserError, nearest
from data.images import DecodeError

MAX_PIXELS = 25_000_000
"""Of a picture, decoded: some 100 MB, of which no more than a few are held at once."""

_PNG = b"image/png"
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_CARD = ("name", "task", "family", "dataset", "classes", "inputs", "outputs", "image", "primary", "metrics")


def routes(service: Service) -> list[Route]:
    """Return the routes for people."""

    async def models(request: Request) -> Response:
        return Response.json({"models": [card(served) for served in service.repository.served()]})

    async def model(request: Request) -> Response:
        return Response.json(card(service.repository.get(request.parameters["model"])))

    async def predict(request: Request) -> Response:
        served = _served(service, request)
        inputs = await service.aside(_inputs, served, request)
        return await _answer(request, served, inputs)

    async def generate(request: Request) -> Response:
        served = _served(service, request)
        if not _task(served).USAGE.takes.draws:
            raise RequestError(
                Reason.INVALID, f"{served.name}: answers pictures: POST one to /models/{served.name}/predict"
            )
        return await _answer(request, served, _request(served, request))

    async def example(request: Request) -> Response:
        served = _served(service, request)
        return Response.json(await service.aside(_example, served, request.parameters["place"]))

    async def _answer(request: Request, served: ServedVersion, inputs: Arrays) -> Response:
        if challenger := service.canaries.chosen(served, request.headers, request.id):
            served, outputs = await service.canaries.answer(served, challenger, inputs)
            request.model = served.labels
            service.predictions.offer(served, request.id, inputs, outputs)
        else:
            outputs, job = await served.infer(inputs)
            service.answered(served, request.id, job, outputs)
        return await service.aside(_written, request, served, outputs)

    return [
        Route("GET", "/models", models),
        Route("GET", "/models/{model}", model),
        Route("POST", "/models/{model}/predict", predict),
        Route("GET", "/models/{model}/generate", generate),
        Route("GET", "/models/{model}/examples/{place}", example),
    ]


def card(served: ServedVersion) -> dict[str, Any]:
    """Return what there is to know of a champion."""
    description = served.bundle.description
    return {
        **{key: description.get(key) for key in _CARD},
        **_words(served),
        **_shown(served),
        "name": served.name,
        "version": served.version,
        "precision": served.bundle.precision,
        "promoted_at": served.promoted_at or None,
        "bundle_sha256": served.bundle.sha256,
        "data_sha256": description.get("data"),
        "draws_by_class": any(tensor["name"] == "label" for tensor in description["inputs"]),
        "examples": _examples(served.bundle),
    }


def _examples(bundle: Bundle) -> int:
    """Return how many golden examples there are; none of a generator, which takes no rows."""
    inputs, _ = bundle.golden()
    return max(
        (len(inputs[tensor.name]) for tensor in bundle.graph.inputs if tensor.shape[0] == -1), default=0
    )


def _words(served: ServedVersion) -> dict[str, Any]:
    """Return what a model that draws by words can be asked, and an example."""
    description = served.bundle.description
    if "words" not in description:
        return {}
    prompts = served.bundle.golden()[0]["prompt"]
    return {key: description[key] for key in ("words", "longest_caption")} | {"prompt": prompts[0]}


def _shown(served: ServedVersion) -> dict[str, Any]:
    """Return how the page shows a model; one whose task is not known here is served by the protocol alone."""
    if served.bundle.description["task"] not in TASKS:
        return {"page": "", "curl": "{url}"}
    task = _task(served)
    prompt = quote_plus(_words(served).get("prompt", ""))
    return {"page": task.USAGE.page, "curl": task.USAGE.curl.replace("{prompt}", prompt)}


def _task(served: ServedVersion) -> Interface:
    """Return what people ask of a model's task.

    Raises:
        RequestError: the task is not known here (INVALID).
    """
    try:
        return tasks.of(served.bundle.description["task"])
    except UserError as error:
        raise RequestError(Reason.INVALID, f"{served.name}: {error}") from None


def _served(service: Service, request: Request) -> ServedVersion:
    served = service.repository.get(request.parameters["model"])
    request.model = served.labels
    return served


def _inputs(served: ServedVersion, request: Request) -> Arrays:
    """Return what the graph takes for the picture in a request's body.

    Raises:
        RequestError: there is no picture that can be used (400), it is sent as a form (415), or the model takes
            none (400).
    """
    task = _task(served)
    if task.USAGE.takes.draws:
        asked = "prompt=...&seed=0" if task.USAGE.takes is Takes.PROMPT else "seed=0"
        raise RequestError(
            Reason.INVALID, f"{served.name}: takes no picture: GET /models/{served.name}/generate?{asked}"
        )
    query = _query(request, task.USAGE.parameters)
    if (request.header(b"content-type") or b"").lower().startswith(b"multipart/"):
        raise RequestError(
            Reason.ENCODED,
            "send the file as the body itself (curl --data-binary @picture.png), not as a form",
        )
    try:
        pixels, size = served.bundle.frame.read(request.body, MAX_PIXELS)
    except DecodeError as error:
        raise RequestError(Reason.INVALID, f"the body is no picture that can be used: {error}") from None
    return _asked(served, [(pixels[None], size)], _given(query))


def _request(served: ServedVersion, request: Request) -> Arrays:
    """Return what a graph that draws takes.

    Raises:
        RequestError: a value is none that it takes (400).
    """
    given = _given(_query(request, _task(served).USAGE.parameters))
    limits.check_rows(given.get("count", 1), served.settings)  # before a prompt is repeated that often
    return _asked(served, [], given)


def _asked(served: ServedVersion, pictures: list[Prepared], given: Given) -> Arrays:
    try:
        (inputs,) = _task(served).requests(served.bundle.description, pictures, given)
    except UserError as error:
        raise RequestError(Reason.INVALID, str(error)) from None
    return inputs


def _given(query: Mapping[str, str]) -> Given:
    """Return the values of a query: whole numbers, points and texts."""
    given: dict[str, Any] = dict(query)
    given |= {key: _whole(query, key) for key in ("seed", "count") if key in query}
    if "landmarks" in query:
        try:
            given["landmarks"] = json.loads(query["landmarks"])
        except (ValueError, RecursionError):
            raise RequestError(
                Reason.INVALID, "landmarks is a list of points in JSON: [[0.5, 0.5], ...]"
            ) from None
    return given


def _whole(query: Mapping[str, str], key: str) -> int:
    if not _INTEGER.fullmatch(query[key]):
        raise RequestError(Reason.INVALID, f"{key}={query[key]}: a whole number")
    return int(query[key])


def _query(request: Request, known: tuple[str, ...]) -> Mapping[str, str]:
    for key in request.query:
        if key not in known:
            raise RequestError(Reason.INVALID, f"no parameter {key!r}.{nearest(key, known)}")
    return request.query


def _written(request: Request, served: ServedVersion, outputs: Mapping[str, np.ndarray]) -> Response:
    """Return an answer in the form that was asked for."""
    description = served.bundle.description
    answer = _task(served).read(description, outputs)[0]
    picture = _picture(answer)
    if picture is None or JSON in (request.header(b"accept") or b""):
        named = {"name": served.name, "version": served.version, "task": description["task"]}
        if served.says_precision:
            named["precision"] = served.bundle.precision
        return Response.json(named | postprocess.to_json(answer))
    named = [(b"x-model-name", quote(served.name).encode()), (b"x-model-version", served.version.encode())]
    return Response(postprocess.png(picture), head(_PNG, named))


def _picture(answer: Answer) -> Any:
    """Return an answer that is a picture as one; None for others."""
    if "images" in answer:
        return postprocess.sheet(answer["images"])
    return answer.get("image") or answer.get("mask")


def _example(served: ServedVersion, place: str) -> dict[str, Any]:
    """Return one golden example as a person would give it.

    Raises:
        RequestError: there is no such example (404).
    """
    inputs, outputs = served.bundle.golden()
    found = card(served)["examples"]
    if not place.isascii() or not place.isdigit() or len(place) > 6 or int(place) >= found:
        raise RequestError(Reason.NOT_FOUND, f"{served.name}: no example {place}; it has {found}")
    return postprocess.to_json(_task(served).example(inputs, outputs, int(place)))
