"""Ask a model as one asks a pipeline of transformers, whether it lies on this machine or is served on another.

    from components.pipelines import pipeline

    classify = pipeline("image-classification", model="digits-cnn@champion")
    classify("seven.png")                       # [{"label": "7", "score": 0.98}, {"label": "1", ...}, ...]
    classify(["seven.png", "eight.png"])        # a list of such lists

    draw = pipeline("unconditional-image-generation", model="digits-gan", url="http://127.0.0.1:8080")
    draw(seed=3, count=16, label="7")           # 16 pictures

    paint = pipeline("text-to-image", model="digit-captions-text-to-image")
    paint("a red seven", seed=3, count=4)       # 4 pictures

It needs no PyTorch. ``model`` is a name of the registry (``digits-cnn``, ``digits-cnn@champion``, ``digits-cnn@3``), a
folder that holds a bundle, or, with ``url``, a champion of the server there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.pipelines import tasks
from components.pipelines.postprocess import Answer
from components.pipelines.sources import Source, open_source
from components.pipelines.tasks import Given, Takes
from components.tasks import TASKS
from data.errors import UserError, nearest

Picture = str | Path | bytes | Image.Image | np.ndarray
"""A file's path or bytes (PNG, JPEG, WebP), a Pillow image, or uint8 [H, W] or [H, W, 3]."""


def pipeline(
    task: str | None = None,
    model: str | Path = "",
    *,
    url: str | None = None,
    token: str | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> Pipeline:
    """Return what answers ``task`` with ``model``.

    Args:
        task: one of :func:`names`; what the model is for without it.
        model: as this module says.
        url: address of a server of ``darkroom serve``; the model is then one of its champions.
        token: bearer token, where that server wants one.
        device: ``cpu`` or ``cuda``; not with ``url``.
        threads: CPU threads of one answer; not with ``url``.

    Raises:
        UserError: there is no such task, model, version or server; or the model is for another task.
    """
    if task is not None and task not in (known := names()):
        raise UserError(f"no task {task!r}.{nearest(task, known)}")
    if not str(model):
        raise UserError(
            "model: name one, as in pipeline('image-classification', model='digits-cnn@champion')."
        )
    source = open_source(str(model), url=url, token=token, device=device, threads=threads)
    able = list(tasks.of(source.description["task"]).SHAPES)
    if task is not None and task not in able:
        raise UserError(f"{model}: is for {' or '.join(able)}, not for {task}.")
    return Pipeline(task or able[-1], source)


def names() -> list[str]:
    """Return what can be asked for, by the names that transformers and its hub give tasks where they have one."""
    return list(dict.fromkeys(name for task in TASKS for name in tasks.of(task).SHAPES))


class Pipeline:
    """A model that answers one task.

    Attributes:
        task: one of :func:`names`.
        source: where the answers come from; ``source.description`` says what the model is, ``source.version`` which.
        interface: what people ask of its task's models and are told.
    """

    def __init__(self, task: str, source: Source) -> None:
        """Use :func:`pipeline`, which checks that they fit."""
        self.task, self.source = task, source
        self.interface = tasks.of(source.description["task"])

    def __call__(
        self,
        inputs: Picture | Sequence[Picture] | None = None,
        *,
        top_k: int = 5,
        landmarks: Sequence[Sequence[float]] | None = None,
        prompt: str | None = None,
        seed: int = 0,
        count: int = 1,
        label: str | None = None,
    ) -> Any:
        """Answer.

        ==================================  ==========================================================================
        ``image-classification``            ``[{"label", "score"}, ...]``, the ``top_k`` most likely
        ``density``                         ``{"scores": as above, "log_likelihood", "bits_per_dim"}``
        ``image-to-image``                  a Pillow image; of a head model the person of ``inputs`` with ``landmarks``,
                                            of a ControlNet what ``prompt`` says by the edge map ``inputs``
        ``object-detection``                ``[{"label", "score", "box": {"xmin", ...}}, ...]``, the surest first
        ``image-segmentation``              ``[{"label", "score": None, "mask"}, ...]``, of the picture's size, 0 or 255
        ``image-to-text``                   ``[{"generated_text"}]``
        ``unconditional-image-generation``  ``count`` Pillow images of ``seed``, of the class ``label``; no ``inputs``
        ``text-to-image``                   ``count`` Pillow images of what ``inputs``, a text, says, from ``seed``
        ==================================  ==========================================================================

        Args:
            inputs: a picture, or several, which gives a list of answers; of a head model the shots of one person; for
                ``text-to-image`` a text, or several.
            top_k: how many classes.
            landmarks: points [x, y] in [0, 1] of the picture's sides.
            prompt: of a ControlNet, what to draw.
            seed: the same seed gives the same images.
            count: how many images.
            label: a class by its name; every class in turn without it.

        Raises:
            UserError: a picture cannot be read, a text has unknown words, the arguments are not the task's, or the
                server refuses.
        """
        given = {"landmarks": landmarks, "prompt": prompt, "seed": seed, "count": count, "label": label}
        match self.interface.USAGE.takes:
            case Takes.SEED:
                if inputs is not None:
                    raise UserError(f"{self.task}: takes a seed and no pictures.")
                return self._drawn(given)
            case Takes.PROMPT:
                return self._by_texts(inputs, given)
        if inputs is None:
            raise UserError(f"{self.task}: give it a picture, or a list of them.")
        several = isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes)
        pictures = list(inputs) if several else [inputs]
        if "landmarks" in self.interface.USAGE.parameters and landmarks is None:
            raise UserError(f"{self.source.description['name']}: needs landmarks.")
        answered = self.source.ask(pictures, given)
        answers = [
            self._shaped(answer, picture, top_k)
            for answer, picture in zip(
                answered, pictures, strict=self.interface.USAGE.takes is Takes.PICTURES
            )
        ]
        return answers if several and self.interface.USAGE.takes is Takes.PICTURES else answers[0]

    def _by_texts(self, texts: Any, given: Given) -> Any:
        if texts is None or isinstance(texts, str):
            return self._drawn({**given, "prompt": texts})
        if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{self.task}: takes a text, or a list of them.")
        return [self._drawn({**given, "prompt": text}) for text in texts]

    def _drawn(self, given: Given) -> Any:
        (answer,) = self.source.ask((), given)
        return self._shaped(answer, None, 0)

    def _shaped(self, answer: Answer, picture: Any, top_k: int) -> Any:
        return self.interface.SHAPES[self.task](self.source.description, answer, picture, top_k)
