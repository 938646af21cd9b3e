"""Where answers come from: a bundle on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from components.bundles.bundle import DESCRIPTION, Bundle
from components.pipelines import tasks
from components.pipelines.pictures import framed
from components.pipelines.postprocess import Answer
from components.pipelines.tasks import Given, Prepared
from components.registry import reference
from data.errors import UserError


class Source(Protocol):
    """What a pipeline asks.

    Attributes:
        description: what the model is, with the keys of ``bundle.json`` that say so.
        version: which version answers; of a bundle in a folder the first digits of its SHA-256.
    """

    description: Mapping[str, Any]
    version: str

    def ask(self, pictures: Sequence[Any], given: Given) -> list[Answer]:
        """Answer each picture, or all of them together, or what is ``given`` alone, as the model's task is."""


class Local:
    """A bundle on this machine."""

    def __init__(self, bundle: Bundle, version: str) -> None:
        self.bundle, self.version = bundle, version
        self.description = bundle.description

    def ask(self, pictures: Sequence[Any], given: Given) -> list[Answer]:
        """Answer each picture, or all of them together, or what is ``given`` alone, as the model's task is."""
        task = tasks.of(self.description["task"])
        requests = task.requests(self.description, map(self._prepared, pictures), given)
        return [
            answer
            for request in requests
            for answer in task.read(self.description, self.bundle.predict(request))
        ]

    def _prepared(self, picture: Any) -> Prepared:
        pixels, size = framed(picture, self.bundle.frame)
        return pixels[None], size


def open_source(model: str, *, url: str | None, token: str | None, device: str, threads: int) -> Source:
    """Find ``model`` at a server, in a folder or in the registry.

    Raises:
        UserError: it cannot be found, or its bundle is not whole.
    """
    if url is not None:
        from components.pipelines.remote import Remote

        return Remote(url, model, token)
    if (Path(model) / DESCRIPTION).is_file():
        bundle = Bundle.open(Path(model), device=device, threads=threads)
        return Local(bundle, bundle.sha256[:12])
    return _registered(model, device, threads)


def _registered(model: str, device: str, threads: int) -> Local:
    """Open the version of the registry that ``model`` names."""
    try:
        named = reference.parse(model)
    except UserError as error:
        raise UserError(f"{error} Nor is it a folder that holds a bundle.") from None
    from components.registry import versions  # MLflow, which a bundle in a folder does not need

    version = versions.resolve(named)
    bundle = versions.fetch(version)
    if (device, threads) != ("cpu", 1):
        bundle = Bundle.open(bundle.folder, device=device, threads=threads)
    return Local(bundle, str(version.number))
