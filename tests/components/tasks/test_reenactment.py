"""Reenactment: the readers on faces whose landmarks and people are known, shots, and the figures by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.evaluation import personalisation
from components.metrics.face_reader import IdentityReader, LandmarkReader, recognised
from components.pictures import animation
from components.tasks import reenactment
from data.prepared import PreparedData
from tests.models import tiny


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> PreparedData:
    return tiny.prepare_faces(tmp_path_factory.mktemp("faces"), sizes=(96, 32, 32))


def _copies_the_target(data: PreparedData):
    """Answer with the real face whose landmarks were asked for."""
    known = {
        landmarks.tobytes(): image
        for landmarks, image in zip(data.test.landmarks, data.test.images, strict=True)
    }
    blank = np.zeros(data.spec.shape, np.uint8)
    return lambda asked: {"image": np.stack([known.get(one.tobytes(), blank) for one in asked["landmarks"]])}


def test_landmarks_are_read_better_than_guessed(faces):
    reader = LandmarkReader(faces.train.images, faces.train.landmarks)
    read = reader.read(faces.test.images)
    assert read.shape == faces.test.landmarks.shape
    error = np.linalg.norm(read - faces.test.landmarks, axis=2).mean()
    guess = np.linalg.norm(faces.train.landmarks.mean(axis=0) - faces.test.landmarks, axis=2).mean()
    assert error < 0.8 * guess


def test_a_linear_relation_is_read_exactly():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (300, 3, 3, 1)).astype(np.uint8)
    weights = random.normal(size=(9, 4))
    points = (images.reshape(300, 9) / 255 @ weights).reshape(300, 2, 2).astype(np.float32)
    read = LandmarkReader(images[:200], points[:200]).read(images[200:])
    assert np.abs(read - points[200:]).max() < 0.05 * points.std()


def test_people_are_recognised_and_strangers_faces_are_not(faces):
    reader = IdentityReader(faces.train.images, faces.train.identities)
    features, identities = reader.read(faces.test.images), faces.test.identities
    assert recognised(features, features, identities).mean() > 0.9
    swapped = np.roll(features, 8, axis=0)  # everybody shows the next person's face
    assert recognised(swapped, features, identities).mean() < 0.1


def test_a_picture_does_not_vouch_for_itself():
    """Alone in its place, it is nearer to the other person's mean than to its own person's other picture."""
    features = np.array([[0.0], [10.0], [4.0], [4.0]])
    assert recognised(features, features, np.array([0, 0, 1, 1])).tolist() == [False, False, True, True]


def test_shots_are_others_of_the_same_person(faces):
    for num in (1, 4, 8):
        shots = reenactment.others(faces.test, num)
        assert (faces.test.identities[shots] == faces.test.identities[:, None]).all()
        assert (shots != np.arange(len(faces.test))[:, None]).all()
        assert all(len(set(row)) == min(num, 7) for row in shots)


def test_right_faces_have_no_error_and_the_figures_of_real_ones(faces):
    answers = reenactment.answer(_copies_the_target(faces), faces)
    measured = reenactment.measure(answers, faces)
    metrics = {name: metric.value for name, metric in measured.metrics.items()}
    assert measured.primary == "l1" and metrics["l1"] == metrics["l1_1_shots"] == metrics["l1_4_shots"] == 0
    assert metrics["ssim"] == pytest.approx(1)
    assert metrics["landmark_error"] == metrics["landmark_error_real"] > 0
    assert metrics["landmark_error_ratio"] == pytest.approx(
        metrics["landmark_error"] / metrics["landmark_error_nearest"]
    )
    assert metrics["identity_match"] == metrics["identity_match_real"] > metrics["identity_match_nearest"]
    assert [row["examples"] for row in measured.per_class] == np.bincount(faces.test.labels).tolist()
    assert set(reenactment.rows(answers, faces)) == {"l1", "landmark_error", "recognised"}


def test_the_nearest_landmarks_are_the_nearest(faces):
    found = reenactment.nearest_landmarks(faces)
    apart = ((faces.test.landmarks[:, None] - faces.train.landmarks[None]) ** 2).sum(axis=(2, 3))
    np.testing.assert_array_equal(found, apart.argmin(axis=1))


def test_fine_tuning_is_compared_on_faces_that_were_not_shown(faces):
    shown = []

    def personalise(landmarks, shots):
        shown.append(len(shots))
        return lambda asked: np.repeat(shots[:1], len(asked), axis=0)

    many = tiny_with_more_frames(faces)
    found = personalisation.drawn(personalise, _copies_the_target(many), many)
    assert shown == [1, 1, 4, 4, 8, 8]
    assert found["places"].tolist() == [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31]
    np.testing.assert_array_equal(found["general"][2], many.test.images[found["places"]])
    np.testing.assert_array_equal(found["personal"][0][0], many.test.images[0])
    assert (
        personalisation.drawn(personalise, _copies_the_target(faces), faces) == {}
    )  # nobody has more than eight


def tiny_with_more_frames(faces: PreparedData) -> PreparedData:
    """Take the test people for half as many, of twice as many pictures."""
    data = PreparedData(faces.folder)
    data.__dict__["test"] = replace(faces.test, identities=faces.test.identities // 2)
    return data


def test_pictures_are_drawn_and_the_sequence_moves(faces, tmp_path):
    answers = reenactment.answer(_copies_the_target(faces), faces)
    reenactment.draw(tmp_path, answers, faces, reenactment.measure(answers, faces))
    assert {file.name for file in tmp_path.iterdir()} == {"faces.png", "driven.png"}
    assert len(answers["driven"]) == (reenactment.KEYS + 1) * reenactment.STEPS


def test_an_animation_holds_every_frame_the_same_each_time(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (5, 2, 8, 8, 3)).astype(np.uint8)
    contents = []
    for name in ("a.png", "b.png"):
        animation.draw(Path(tmp_path / name), frames)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.n_frames == 5 and picture.info["loop"] == 0
        picture.seek(3)
        shown = np.asarray(picture.convert("RGB"))
    gap, scale = 6, 12
    np.testing.assert_array_equal(shown[gap : gap + 96 : scale, gap : gap + 96 : scale], frames[3, 0])
