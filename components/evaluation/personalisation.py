"""What fine-tuning on the shots of somebody new brings: the same faces with and without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from components.bundles.signature import Arrays, Predict
from components.evaluation.hooks import Evaluated
from data.prepared import PreparedData

SHOTS = (1, 4, 8)
MOST = SHOTS[-1]

PEOPLE = 4
"""How many people of the test split to fine-tune to; each takes a small training for each number of shots."""

Personalise = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""(landmarks float32 [S, L, 2], shots uint8 [S, H, W, C]) -> (landmarks -> faces uint8 [N, H, W, C])."""


def compare(tell: Callable[..., Any], model: Evaluated) -> Arrays:
    """Draw the first people's faces as :func:`drawn`, fine-tuned by the family's function ``tell``."""
    import torch  # which only this needs

    def personalise(landmarks: np.ndarray, shots: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        painter = tell(landmarks, shots)
        return lambda asked: painter(torch.tensor(asked, device=model.device)).detach().cpu().numpy()

    return drawn(personalise, model.predict, model.data)


def drawn(personalise: Personalise, predict: Predict, data: PreparedData) -> Arrays:
    """Draw the first people's faces from their first 1, 4 and 8 pictures.

    Returns:
        ``places``: of the M faces that are drawn, which are none of the shots, in the test split.
        ``general`` and ``personal``: uint8 [3, M, H, W, C] by the number of shots, without and with fine-tuning.
        Nothing where nobody has more pictures than shots.
    """
    test = data.test
    people = [np.flatnonzero(test.identities == one) for one in np.unique(test.identities)]
    people = [places for places in people if len(places) > MOST][:PEOPLE]
    if not people:
        return {}
    by_shots: dict[str, list[np.ndarray]] = {"general": [], "personal": []}
    for num in SHOTS:
        faces: dict[str, list[np.ndarray]] = {"general": [], "personal": []}
        for places in people:
            shown, asked = places[:num], test.landmarks[places[MOST:]]
            shots = np.broadcast_to(test.images[shown], (len(asked), num, *test.images.shape[1:]))
            faces["general"].append(predict({"landmarks": asked, "shots": shots})["image"])
            faces["personal"].append(personalise(test.landmarks[shown], test.images[shown])(asked))
        for kind, parts in faces.items():
            by_shots[kind].append(np.concatenate(parts))
    places = np.concatenate([places[MOST:] for places in people])
    return {"places": places, **{kind: np.stack(parts) for kind, parts in by_shots.items()}}
