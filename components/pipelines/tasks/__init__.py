"""What people ask of models and what they are told, a module per task: NumPy and Pillow only, as servers start fast.

Whoever stands between a person and a graph, :func:`~components.pipelines.pipeline`, the commands or the server, asks
the task's module, and knows no task by itself. What is measured of a task is in the module of the same name in
``components/tasks``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np

from components.bundles.signature import Arrays
from components.pipelines.postprocess import Answer, Description
from components.tasks import TASKS
from data.errors import UserError, nearest

Prepared = tuple[np.ndarray, tuple[int, int]]
"""A picture as :meth:`components.bundles.bundle.Bundle.prepare_image` made it, and its width and height before."""

Given = Mapping[str, Any]
"""What a person gives beside pictures, by name: ``landmarks``, ``prompt``, ``seed``, ``count``, ``label``."""

Shape = Callable[[Description, Answer, Any, int], Any]
"""(``bundle.json``, answer, the picture as it was given, ``top_k``) -> what a pipeline gives."""


class Takes(Enum):
    """What a person gives a model of the task."""

    PICTURES = "pictures, each of which is answered"
    SHOTS = "pictures of one person, which are answered together"
    SEED = "a seed"
    PROMPT = "a prompt and a seed"

    @property
    def draws(self) -> bool:
        """Whether the model is shown no picture and draws some."""
        return self in (Takes.SEED, Takes.PROMPT)


@dataclass(frozen=True)
class Usage:
    """How a model of a task is asked; the defaults are of a model that answers a picture and knows no parameter.

    Attributes:
        takes: what a person gives.
        parameters: what of :data:`Given` the task knows.
        page: the part of the server's page that shows its models: ``board``, ``fitted board`` (a drawing is scaled to
            its frame), ``faces``, ``prompts`` or ``seeds``.
        curl: what follows ``curl`` in a command that asks a server, with ``{url}`` of the model and ``{prompt}``.
        read_bundle: what follows the bundle in a command of ``docs/examples/read_bundle.py``.
        generative: whether it tells how likely images are or draws new ones.
    """

    takes: Takes = Takes.PICTURES
    parameters: tuple[str, ...] = ()
    page: str = "board"
    curl: str = "--data-binary @picture.png {url}/predict"
    read_bundle: str = "picture.png"
    generative: bool = False


class Interface(Protocol):
    """A module of this folder: the task's interface to people.

    Attributes:
        USAGE: how a model of the task is asked.
        SHAPES: by what the task is called in pipelines, as transformers and its hub call it where they know it, how an
            answer is given there. The last one is meant where a pipeline names none.
    """

    USAGE: Usage
    SHAPES: Mapping[str, Shape]

    def requests(
        self, description: Description, pictures: Iterable[Prepared], given: Given
    ) -> Iterator[Arrays]:
        """Yield what the graph takes, one request or several.

        Raises:
            UserError: a value is none that the model takes.
        """

    def read(self, description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
        """Return an answer for each example; of what draws images one answer, with all of them."""

    def line(self, answer: Answer) -> str:
        """Return an answer in one line of text; of tasks that answer with pictures "", since those are written."""

    def example(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], k: int) -> Answer:
        """Return golden example ``k`` as a person would give it."""


def of(task: str) -> Interface:
    """Return the module of ``task``.

    Raises:
        UserError: there is none.
    """
    if task not in TASKS:
        raise UserError(f"no task {task!r}.{nearest(task, TASKS)}")
    return cast(Interface, import_module(f"components.pipelines.tasks.{task}"))
