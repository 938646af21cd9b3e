"""What the model that a fine-tuned one starts from makes of the same captions."""

from __future__ import annotations

import numpy as np
import torch

from components.bundles.signature import Arrays
from components.tasks import text_to_image
from components.trained.torch_model import Reference
from data.prepared import PreparedData
from models.checkpoint import Checkpoint


def answers(base: Checkpoint, data: PreparedData, device: torch.device, threads: int) -> Arrays:
    """Return its images, and which classes it does not know.

    Returns:
        ``before`` uint8 [N, H, W, C], for the captions and from the seeds of :func:`.text_to_image.answer`;
        ``is_new`` bool [K].
    """
    outputs = text_to_image.signature(base.spec)[1]
    predict = Reference(base.family.graph(base.model), base.spec, outputs, device, threads)
    is_new = [name not in base.spec.classes for name in data.spec.classes]
    return {"before": text_to_image.asked_for(predict, data), "is_new": np.array(is_new)}
