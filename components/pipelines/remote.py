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

from components.pipelines import postprocess
from components.pipelines.pictures import content
from components.pipelines.postprocess import Answer
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

    def answer(self, pictures: Sequence[Any]) -> list[Answer]:
        """Answer each picture, one after the other."""
        return [self._read(self._ask(f"{self._path}/predict", content(picture))) for picture in pictures]

    def reenact(self, shots: Sequence[Any], landmarks: Sequence[Sequence[float]]) -> Answer:
        """Show the person of the shot with these landmarks.

        Raises:
            UserError: there are several shots, which the Open Inference Protocol takes and this endpoint does not.
        """
        if len(shots) != 1:
            raise UserError(
                f"{self.description['name']}: a server takes one shot this way, not {len(shots)}."
            )
        query = urlencode({"landmarks": json.dumps([list(map(float, point)) for point in landmarks])})
        return self._read(self._ask(f"{self._path}/predict?{query}", content(shots[0])))

    def generate(self, seed: int, count: int, label: str | None, prompt: str | None) -> Answer:
        """Draw images."""
        query: dict[str, Any] = {"seed": seed, "count": count}
        query |= {key: value for key, value in (("label", label), ("prompt", prompt)) if value is not None}
        return self._read(self._ask(f"{self._path}/generate?{urlencode(query)}"))

    def paint(self, maps: Sequence[Any], prompt: str | None, seed: int) -> list[Answer]:
        """Draw an image by each edge map, one after the other."""
        query = urlencode({"seed": seed} | ({} if prompt is None else {"prompt": prompt}))
        return [self._read(self._ask(f"{self._path}/predict?{query}", content(edges))) for edges in maps]

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
