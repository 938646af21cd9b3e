"""Transcription: ``text`` and ``confidence``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from components.pipelines import image_inputs
from components.pipelines.postprocess import Answer, Description
from components.pipelines.tasks import Usage

USAGE = Usage()

requests = image_inputs.requests
example = image_inputs.example


def read(description: Description, outputs: Mapping[str, np.ndarray]) -> list[Answer]:
    """Return ``text`` and ``confidence`` of each picture."""
    return [
        {"text": str(text), "confidence": float(confidence)}
        for text, confidence in zip(outputs["text"], outputs["confidence"], strict=True)
    ]


def line(answer: Answer) -> str:
    """Return the text and the confidence."""
    return f"{answer['text']}  {answer['confidence']:.3f}"


def generated_text(description: Description, answer: Answer, shown: Any, top_k: int) -> Any:
    """Return the text as transformers does."""
    return [{"generated_text": answer["text"]}]


SHAPES = {"image-to-text": generated_text}
