"""Where answers come from: a bundle on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from components.bundles.bundle import DESCRIPTION, Bundle
from components.bundles.signature import Arrays
from components.pipelines import postprocess
from components.pipelines.pictures import opened
from components.pipelines.postprocess import Answer
from components.registry import reference
from data.errors import UserError

BATCH = 32
"""So many pictures are computed at once."""


class Source(Protocol):
    """What a pipeline asks.

    Attributes:
        description: what the model is, with the keys of ``bundle.json`` that say so.
        version: which version answers; of a bundle in a folder the first digits of its SHA-256.
    """

    description: Mapping[str, Any]
    version: str

    def answer(self, pictures: Sequence[Any]) -> list[Answer]:
        """Answer each picture."""

    def reenact(self, shots: Sequence[Any], landmarks: Sequence[Sequence[float]]) -> Answer:
        """Show the person of the shots with these landmarks."""

    def generate(self, seed: int, count: int, label: str | None, prompt: str | None) -> Answer:
        """Draw images."""

    def paint(self, maps: Sequence[Any], prompt: str | None, seed: int) -> list[Answer]:
        """Draw an image by each edge map."""


class Local:
    """A bundle on this machine."""

    def __init__(self, bundle: Bundle, version: str) -> None:
        self.bundle, self.version = bundle, version
        self.description = bundle.description

    def answer(self, pictures: Sequence[Any]) -> list[Answer]:
        """Answer each picture, some at a time."""
        found: list[Answer] = []
        for start in range(0, len(pictures), BATCH):
            asked = [self._inputs(picture) for picture in pictures[start : start + BATCH]]
            rows = {name: np.concatenate([one[name] for one in asked]) for name in asked[0]}
            found += postprocess.read(self.description, self.bundle.predict(rows))
        return found

    def reenact(self, shots: Sequence[Any], landmarks: Sequence[Sequence[float]]) -> Answer:
        """Show the person of the shots with these landmarks."""
        points = postprocess.landmarks(self.description, landmarks)
        images = np.concatenate([self._inputs(shot)["image"] for shot in shots])
        outputs = self.bundle.predict({"landmarks": points, "shots": images[None]})
        return postprocess.read(self.description, outputs)[0]

    def generate(self, seed: int, count: int, label: str | None, prompt: str | None) -> Answer:
        """Draw images."""
        asked = postprocess.request(self.description, seed, count, label, prompt)
        return postprocess.read(self.description, self.bundle.predict(asked))[0]

    def paint(self, maps: Sequence[Any], prompt: str | None, seed: int) -> list[Answer]:
        """Draw an image by each edge map; each is from the seed's first noise, as if it were the only one."""
        prepared = [self._inputs(edges)["image"] for edges in maps]
        asked = [postprocess.controlled(self.description, one, prompt, seed) for one in prepared]
        return [postprocess.read(self.description, self.bundle.predict(one))[0] for one in asked]

    def _inputs(self, picture: Any) -> Arrays:
        image = opened(picture)
        return postprocess.inputs(self.description, self.bundle.prepare_image(image), image.size)


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
