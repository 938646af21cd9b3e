"""Heads drawn by us: people who do not exist, in every pose, with landmarks that are known and not guessed.

A head is a few ellipsoids seen in parallel projection (``render.py``), a person a handful of numbers (``person.py``), a
frame a pose and an expression (``frame.py``). Everything follows from the seed, the person's number and the frame's.
"""

from __future__ import annotations

import numpy as np

from data.sources import Arrays
from data.sources.faces import landmarks, render
from data.sources.faces.frame import EXPRESSIONS, Frame
from data.sources.faces.person import Person
from data.spec import DatasetSpec


def load(spec: DatasetSpec) -> Arrays:
    """Return ``spec.heads.people`` people of ``spec.heads.frames`` frames each.

    A person is in one split alone: the first of them are ``test``, the next ``validation``, by the shares of
    ``spec.splits``; who comes first is no more than chance. The label is the expression.
    """
    heads, image, shares = spec.heads, spec.image, spec.splits
    num_test, num_validation = (
        max(1, round(share * heads.people)) for share in (shares.test, shares.validation)
    )
    splits = ["test"] * num_test + ["validation"] * num_validation
    splits += ["train"] * (heads.people - len(splits))
    ids, identities, labels, pictures, points = [], [], [], [], []
    for number in range(heads.people):
        person = Person.draw(np.random.default_rng([heads.seed, number]))
        for index in range(heads.frames):
            random = np.random.default_rng([heads.seed, number, 1 + index])
            frame = Frame.draw(random, EXPRESSIONS[index % len(EXPRESSIONS)])
            ids.append(f"{number:05d}/{index:04d}")
            identities.append(f"{number:05d}")
            labels.append(frame.expression)
            pictures.append(render.draw(person, frame, image.height, image.width))
            points.append(landmarks.of(person, frame))
    return Arrays(
        ids=ids,
        sources=[f"drawn with seed {heads.seed}"] * len(ids),
        splits=[splits[int(identity)] for identity in identities],
        labels=labels,
        images=np.stack(pictures),
        identities=identities,
        landmarks=np.stack(points).astype(np.float32),
    )
