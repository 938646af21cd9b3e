"""A champion of a server of ``darkroom serve``, asked over HTTP by its plain endpoints."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from components.pipelines import postprocess, tasks
from components.pipelines.pictures import content
from components.pipelines.postprocess import Answer
from components.pipelines.tasks import Given, Takes
from components.registry import reference
from data.errors import UserError, nearest

TOKEN = "DARKROOM_TOKEN"
"""Environment variable of the bearer token, where none is given: tokens on command lines can be seen by others."""

TIMEOUT_S = 60

_HEAD = ("name", "version", "task")
"""What an answer says of the model beside what the model says."""


class Remote:
    """A champion of a server; each answer is of the version that is champion then, and ``version`` names it."""

    def __init__(self, url: str, model: str, token: str | None = None) -> None:
        """Ask the server at ``url`` what ``model`` is.

        Raises:
            UserError: no server answers there, it wants another token, or has no such model.
        """
        self._url, self._token = url.rstrip("/"), token or os.environ.get(TOKEN)
        if not self._url.startswith(("http://", "https://")):
            raise UserError(f"{url}: is no address of a server; one is http://127.0.0.1:8080.")
        named = reference.parse(model)
        if named.number is not None or named.alias not in (None, "champion"):
            raise UserError(f"{model}: a server answers with champions alone: ask for {named.name}.")
        name = named.name
        served = {card["name"]: card for card in self._ask("/models")["models"]}
        if name not in served:
            raise UserError(f"{model}: {self._url} serves no such champion.{nearest(name, served)}")
        self.description = served[name]
        self.version: str = self.description["version"]
        self._path = f"/models/{quote(name, safe='')}"

    def ask(self, pictures: Sequence[Any], given: Given) -> list[Answer]:
        """Answer each picture, one after the other, or what is ``given`` alone, as the model's task is.

        Raises:
            UserError: several pictures are to be answered together, which the Open Inference Protocol takes and this
                endpoint does not.
        """
        task = tasks.of(self.description["task"])
        values = {key: given[key] for key in task.USAGE.parameters if given.get(key) is not None}
        if "landmarks" in values:
            values["landmarks"] = json.dumps([list(map(float, point)) for point in values["landmarks"]])
        query = f"?{urlencode(values)}" if values else ""
        if task.USAGE.takes.draws:
            return [self._read(self._ask(f"{self._path}/generate{query}"))]
        if task.USAGE.takes is Takes.SHOTS and len(pictures) != 1:
            raise UserError(
                f"{self.description['name']}: a server takes one shot this way, not {len(pictures)}."
            )
        path = f"{self._path}/predict{query}"
        return [self._read(self._ask(path, content(picture))) for picture in pictures]

    def _read(self, answer: dict[str, Any]) -> Answer:
        self.version = answer["version"]
        return postprocess.from_json({key: value for key, value in answer.items() if key not in _HEAD})

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        asked = urllib.request.Request(self._url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise UserError(f"{self._url}: {_told(error)}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise UserError(f"{self._url}: no server of darkroom answers there: {reason}.") from None


def _told(error: urllib.error.HTTPError) -> str:
    """Return what a server said of a request that it refused."""
    if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"access refused ({error.code}). Give a token, or set {TOKEN}."
    try:
        return f"{json.load(error)['error']} ({error.code})"
    except (ValueError, KeyError, TypeError):
        return f"refused ({error.code} {error.reason})."
