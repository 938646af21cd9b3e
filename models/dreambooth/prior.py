"""What the model drew before it learned the subject, to remember its classes by (Ruiz et al. 2023, section 3.3).

The paper draws all images from one caption, "a dog", of the class of its subject. Here one half is of the captions that
the subject is learned from, without its word: of images that are told in the same words but for that one, nothing else
can be what makes the difference. The other half is of old classes, whatever they are.

A new word also moves those behind it to places where the model never read them: "zib four blue on white" came out white
on blue, as "on white a blue four" has them. So half of the captions are remembered with a gap somewhere.
"""

from __future__ import annotations

import numpy as np
import torch

from data.captions import PADDING, UNKNOWN
from data.prepared import Split
from models import text_to_image
from models.dreambooth.network import SubjectDiffusion
from models.run import Run

CHUNK = 100


@torch.no_grad()
def draw(model: SubjectDiffusion, shown: Split, train: Split, run: Run) -> Split:
    """Return ``prior_images`` images by ``model`` of what :func:`prompts` says, labelled -1; captions as :func:`spaced`.

    Their noise follows from ``run.generator``, so that a training that was killed draws the same ones again.
    """
    captions, drawn = prompts(model, shown, train), []
    graph = text_to_image.graph(model)
    for start in range(0, len(captions), CHUNK):
        prompt = torch.as_tensor(captions[start : start + CHUNK]).to(run.device)
        seed = torch.randint(2**62, (1,), generator=run.generator, device=run.device)
        drawn.append(graph(prompt, seed).cpu().numpy())
        run.progress(start + len(prompt), len(captions), "prior image")
    ids = [f"prior-{number}" for number in range(len(captions))]
    return Split(np.concatenate(drawn), np.full(len(captions), -1), ids, captions=spaced(captions, run.seed))


def prompts(model: SubjectDiffusion, shown: Split, train: Split) -> np.ndarray:
    """Return what the prior images are of, int64 [N, L]: half of them as ``shown``, half old ones of ``train``.

    Args:
        model: says how many, and which classes and words are new.
        shown: the pictures of the subject; the new words are left out of their captions.
        train: the train split, whose captions are read and whose pictures are not looked at.
    """
    count = model.tuning.prior_images
    same = evenly(without(shown.captions, model.learned), (count + 1) // 2)
    return np.concatenate([same, evenly(train.captions[~np.isin(train.labels, model.new)], count // 2)])


def without(captions: np.ndarray, tokens: tuple[int, ...]) -> np.ndarray:
    """Return captions int64 [N, L] from which ``tokens`` were taken, and the words after them moved up."""
    rows = np.full_like(captions, PADDING)
    for row, caption in zip(rows, captions, strict=True):
        left = caption[~np.isin(caption, (PADDING, *tokens))]
        row[: len(left)] = left
    return rows


def spaced(captions: np.ndarray, seed: int) -> np.ndarray:
    """Return captions int64 [N, L], with an unknown word, which says nothing, anywhere in every other one.

    Those of L words stay as they are.
    """
    random, rows = np.random.default_rng(seed), captions.copy()
    for row in rows[::2]:
        count = np.count_nonzero(row)
        if count < len(row):
            place = random.integers(count + 1)
            row[place + 1 :] = row[place:-1].copy()
            row[place] = UNKNOWN
    return rows


def evenly(values: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` of ``values`` [N, ...], evenly spread; some of them again where there are fewer."""
    return values[np.arange(count) * len(values) // count]
