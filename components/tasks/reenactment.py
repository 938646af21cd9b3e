"""Reenactment: a face of somebody from landmarks and a few pictures (shots). Error, landmarks, who is recognised.

The graph is asked for every test face from 1, 4 and 8 other pictures of the same person. Beside it stands the training
face with the nearest landmarks: what needs no model. What only the family can do, the evaluate stage adds to the
answers: ``personal`` and ``general``, faces of the first people with and without fine-tuning, by the number of shots.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from components.bundles.agreement import Agreement
from components.bundles.signature import Arrays, Predict, Tensor, Tolerance, image_tensor
from components.evaluation import hooks, image_inputs, personalisation
from components.evaluation.hooks import Hook
from components.evaluation.personalisation import MOST, SHOTS
from components.metrics import bootstrap
from components.metrics.face_reader import IdentityReader, LandmarkReader, recognised
from components.metrics.image_similarity import absolute_error, structural_similarity
from components.metrics.measurement import Measurement, Metric
from components.metrics.paired import Scores
from data.prepared import DataSpec, PreparedData, Split

TOLERANCES = {"image": Tolerance(1.0)}  # a grey level: a value between two levels may round either way

SHOWN = 8

DRIVEN, KEYS, STEPS = 5, 5, 6
"""How many people are driven, through how many faces, with how many steps between two of them."""

COMPARED_BY_JUDGE = False

METRICS = (
    "l1",
    "ssim",
    "landmark_error",
    "landmark_error_nearest",
    "landmark_error_real",
    "landmark_error_ratio",
    "identity_match",
    "identity_match_nearest",
    "identity_match_real",
    "l1_nearest",
    *(f"{metric}_{num}_shots" for metric in ("l1", "identity_match") for num in SHOTS[:-1]),
    *(f"l1_{kind}_{num}_shots" for kind in ("general", "personal") for num in SHOTS),
)

HOOKS: dict[str, Hook] = {"personalise": personalisation.compare}

extend = hooks.nothing_more


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph."""
    landmarks = Tensor("landmarks", "float32", (-1, spec.num_landmarks, 2))
    return [landmarks, Tensor("shots", "uint8", (-1, -1, *spec.shape))], [image_tensor(spec)]


def inputs(data: PreparedData, split: str, start: int, count: int) -> Arrays:
    """Return the landmarks of ``count`` faces of ``split`` from ``start`` on, and four shots for each."""
    part = getattr(data, split)
    places = image_inputs.cycled(np.arange(len(part)), start, count)
    return {"landmarks": part.landmarks[places], "shots": part.images[others(part, 4)[places]]}


def others(split: Split, num: int) -> np.ndarray:
    """Return int64 [N, num]: for each face the places of the ``num`` of the same person that follow it, in a circle."""
    found = np.empty((len(split), num), dtype=np.int64)
    for identity in np.unique(split.identities):
        places = np.flatnonzero(split.identities == identity)
        step = (
            np.arange(1, num + 1) % max(1, len(places) - 1) + 1
            if len(places) > 1
            else np.zeros(num, np.int64)
        )
        found[places] = places[(np.arange(len(places))[:, None] + step) % len(places)]
    return found


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return ``shots_1``, ``shots_4`` and ``shots_8``, uint8 [N, H, W, C]: every test face from 1, 4 and 8 shots."""
    answers = {}
    for num in SHOTS:
        asked = {"landmarks": data.test.landmarks, "shots": data.test.images[others(data.test, num)]}
        answers[f"shots_{num}"] = image_inputs.ask(predict, asked, data)["image"]
    return answers | {"driven": _drive(predict, data)}


def _drive(predict: Predict, data: PreparedData) -> np.ndarray:
    """Return uint8 [T, P, H, W, C]: the first people of the test split, driven by the landmarks of the first of them.

    The landmarks go from one of the driver's faces to the next, on a straight line.
    """
    test = data.test
    _, first = np.unique(test.identities, return_index=True)
    people = first[:DRIVEN]
    keys = test.landmarks[np.flatnonzero(test.identities == test.identities[people[0]])][: KEYS + 1]
    share = np.linspace(0, 1, STEPS, endpoint=False, dtype=np.float32)[:, None, None]
    path = np.concatenate([a + share * (b - a) for a, b in itertools.pairwise([*keys, keys[0]])])
    landmarks = np.repeat(path, len(people), axis=0)
    shots = test.images[others(test, MOST)[people]]
    frames = [predict({"landmarks": now, "shots": shots})["image"] for now in np.split(landmarks, len(path))]
    return np.stack(frames)


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return the mean absolute error of each test face from the most shots, on [0, 1]."""
    return absolute_error(answers[f"shots_{MOST}"], data.test.images)


def paired(answers: Arrays, data: PreparedData) -> list[Scores]:
    """Return the mean absolute error of each test face from the most shots."""
    return [Scores("l1", "lower", scores(answers, data), data.test.labels)]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield the error: each pixel's difference is within the tolerance, so is their mean, which is on [0, 1]."""
    tolerance = Tolerance(TOLERANCES["image"].absolute / 255)
    yield Agreement("l1", "the error", scores(answers, data), columns["l1"], tolerance)


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return error and similarity, landmark error and recognised identities, and those of the nearest training face.

    ``l1`` and what has no number of shots in its name are of the most shots. The landmark reader was fitted to the
    training faces and reads them better than new ones: that favours the nearest training face, not the model.
    """
    test, made, nearest = data.test, answers[f"shots_{MOST}"], data.train.images[nearest_landmarks(data)]
    error, right = scores(answers, data), _recognised(made, data)
    landmark_error = landmark_errors(made, data)
    metrics = {
        "l1": Metric.of(bootstrap.mean(error), "lower"),
        "ssim": Metric.of(bootstrap.mean(structural_similarity(made, test.images)), "higher"),
        "landmark_error": Metric.of(bootstrap.mean(landmark_error), "lower"),
        "landmark_error_nearest": Metric.of(bootstrap.mean(landmark_errors(nearest, data)), "lower"),
        "landmark_error_real": Metric.of(bootstrap.mean(landmark_errors(test.images, data)), "lower"),
        "identity_match": Metric.of(bootstrap.proportion(right), "higher"),
        "identity_match_nearest": Metric.of(bootstrap.proportion(_recognised(nearest, data)), "higher"),
        "identity_match_real": Metric.of(bootstrap.proportion(_recognised(test.images, data)), "higher"),
        "l1_nearest": Metric.of(bootstrap.mean(absolute_error(nearest, test.images)), "lower"),
    }
    # Below 1 the model is nearer than the nearest training face. Paired: the two err on the same faces.
    ratio = image_inputs.ratio(landmark_error, landmark_errors(nearest, data))
    metrics["landmark_error_ratio"] = Metric.of(ratio, "lower")
    for num in SHOTS[:-1]:
        error_of_fewer = absolute_error(answers[f"shots_{num}"], test.images)
        metrics[f"l1_{num}_shots"] = Metric.of(bootstrap.mean(error_of_fewer), "lower")
        of_fewer = bootstrap.proportion(_recognised(answers[f"shots_{num}"], data))
        metrics[f"identity_match_{num}_shots"] = Metric.of(of_fewer, "higher")
    if "places" in answers:
        targets = test.images[answers["places"]]
        for kind in ("general", "personal"):
            for num, faces in zip(SHOTS, answers[kind], strict=True):
                metrics[f"l1_{kind}_{num}_shots"] = Metric.of(
                    bootstrap.mean(absolute_error(faces, targets)), "lower"
                )
    columns = {"l1": error, "landmark_error": landmark_error, "identity_match": right.astype(np.float64)}
    num_classes = data.spec.num_classes
    by_class = {
        name: image_inputs.mean_by_class(values, test.labels, num_classes) for name, values in columns.items()
    }
    per_class = [
        {"class": name, "examples": int((test.labels == k).sum())}
        | {key: values[k] for key, values in by_class.items()}
        for k, name in enumerate(data.spec.classes)
    ]
    return Measurement("l1", metrics, per_class)


def nearest_landmarks(data: PreparedData) -> np.ndarray:
    """Return int64 [N]: for each test face the place of the training face whose landmarks are nearest."""
    asked = data.test.landmarks.reshape(len(data.test), -1).astype(np.float64)
    known = data.train.landmarks.reshape(len(data.train), -1).astype(np.float64)
    return ((known**2).sum(axis=1) - 2 * asked @ known.T).argmin(axis=1)


def landmark_errors(faces: np.ndarray, data: PreparedData) -> np.ndarray:
    """Return float64 [N]: how far the landmarks read off ``faces`` are from those of the test faces, in sides."""
    read = _readers(data.folder, data.spec.sha256)[0].read(faces)
    return np.linalg.norm(read - data.test.landmarks, axis=2).mean(axis=1)


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return the error, the landmark error and whether each face is recognised, from the most shots."""
    made = answers[f"shots_{MOST}"]
    return {
        "l1": scores(answers, data),
        "landmark_error": landmark_errors(made, data),
        "recognised": _recognised(made, data),
    }


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw people nobody trained on: a shot, faces from 1, 4 and 8 shots, the right face, the nearest training face.

    And, where the family can, somebody driven by somebody else's landmarks, as an animated picture.
    """
    from components.pictures import animation, grid

    test = data.test
    _, first = np.unique(test.identities, return_index=True)
    chosen = first[:SHOWN] + np.arange(min(SHOWN, len(first))) % 3  # of every expression some
    shown = [test.images[others(test, 1)[chosen, 0]]]
    shown += [answers[f"shots_{num}"][chosen] for num in SHOTS]
    shown += [test.images[chosen], data.train.images[nearest_landmarks(data)[chosen]]]
    title = "A shot; from 1, 4, 8 shots; the right face; nearest in training"
    grid.draw(folder / "faces.png", np.concatenate(shown), columns=len(chosen), title=title, cell=96)
    if "driven" in answers:
        animation.draw(folder / "driven.png", answers["driven"])


def _recognised(faces: np.ndarray, data: PreparedData) -> np.ndarray:
    reader = _readers(data.folder, data.spec.sha256)[1]
    return recognised(reader.read(faces), reader.read(data.test.images), data.test.identities)


@lru_cache(maxsize=1)
def _readers(folder: Path, sha256: str) -> tuple[LandmarkReader, IdentityReader]:
    """Return both readers, fitted to the training faces in ``folder``, whose state ``sha256`` tells from others."""
    train = PreparedData(folder).train
    return LandmarkReader(train.images, train.landmarks), IdentityReader(train.images, train.identities)
