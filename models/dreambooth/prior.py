"""What the model drew before it learned the subject: images to remember its classes by (Ruiz et al. 2023, section 3.3).

The paper draws all of them from one caption, "a dog", of the class of its subject: what is nearest to the subject is
the first to be taken for it. Here they are one half of them, and the other one is of every old class. Captions are those
of the train split, whose pictures are not looked at.
"""

from __future__ import annotations

import numpy as np
import torch

from data.captions import PADDING
from data.prepared import PreparedData, Split
from models import text_to_image
from models.dreambooth.network import SubjectDiffusion
from models.run import Run

CHUNK = 100


@torch.no_grad()
def draw(model: SubjectDiffusion, shown: Split, train: Split, run: Run) -> Split:
    """Return ``prior_images`` images by ``model``, and the captions that they were drawn from.

    Their noise follows from ``run.generator``. A training that goes on draws them again, from the same weights: they
    are the same.
    """
    captions, drawn = prompts(model, shown, train), []
    graph = text_to_image.graph(model)
    for start in range(0, len(captions), CHUNK):
        prompt = torch.as_tensor(captions[start : start + CHUNK]).to(run.device)
        seed = torch.randint(2**62, (1,), generator=run.generator, device=run.device)
        drawn.append(graph(prompt, seed).cpu().numpy())
        run.progress(start + len(prompt), len(captions), "prior image")
    ids = [f"prior-{number}" for number in range(len(captions))]
    return Split(np.concatenate(drawn), np.full(len(captions), -1), ids, captions=captions)


def prompts(model: SubjectDiffusion, shown: Split, train: Split) -> np.ndarray:
    """Return what the prior images are of, int64 [N, L]: captions of new classes without new words, and of old ones.

    Each half is spread evenly over the captions that there are.
    """
    count, is_new = model.tuning.prior_images, np.isin(train.labels, model.new)
    nouns = without(evenly(shown.captions, (count + 1) // 2), model.learned)
    return np.concatenate([nouns, evenly(train.captions[~is_new], count // 2)])


def without(captions: np.ndarray, tokens: tuple[int, ...]) -> np.ndarray:
    """Return captions int64 [N, L] in which the words after one of ``tokens`` have closed up."""
    rows = np.full_like(captions, PADDING)
    for row, caption in zip(rows, captions, strict=True):
        left = caption[~np.isin(caption, (PADDING, *tokens))]
        row[: len(left)] = left
    return rows


def evenly(values: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` of ``values`` [N, ...], evenly spread; some of them again where there are fewer."""
    return values[np.arange(count) * len(values) // count]
