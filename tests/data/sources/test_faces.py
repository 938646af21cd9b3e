"""The drawn heads: the same bytes again, landmarks where the features are, and nothing beyond the person changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources import faces
from data.sources.faces import landmarks, render, solids
from data.sources.faces.frame import EXPRESSIONS, Frame
from data.sources.faces.person import Person
from data.spec import DatasetSpec

STRAIGHT = Frame(yaw=0, pitch=0, roll=0, expression="calm", smile=0, gape=0, lift=0, open=1)
SIDE = 96
numbers = st.integers(0, 10_000)


def person(number: int) -> Person:
    return Person.draw(np.random.default_rng([0, number]))


def frame(number: int, expression: str = "calm") -> Frame:
    return Frame.draw(np.random.default_rng([1, number]), expression)


def spec(**values) -> DatasetSpec:
    given = {
        "source": "heads",
        "heads": {"people": 6, "frames": 3},
        "image": {"height": 16, "width": 16, "channels": 3},
        "splits": {"validation": 0.2, "test": 0.2},
    }
    return DatasetSpec.model_validate(given | values)


def test_the_same_seed_draws_the_same_and_another_one_others():
    once, again = faces.load(spec()), faces.load(spec())
    np.testing.assert_array_equal(once.images, again.images)
    np.testing.assert_array_equal(once.landmarks, again.landmarks)
    other = faces.load(spec(heads={"people": 6, "frames": 3, "seed": 1}))
    assert (once.images != other.images).any(axis=(1, 2, 3)).all()


def test_more_people_and_frames_leave_the_first_as_they_are():
    few, many = faces.load(spec()), faces.load(spec(heads={"people": 8, "frames": 5}))
    places = [many.ids.index(id) for id in few.ids]
    np.testing.assert_array_equal(few.images, many.images[places])


def test_every_person_is_in_one_split():
    drawn = faces.load(spec())
    found = {(identity, split) for identity, split in zip(drawn.identities, drawn.splits, strict=True)}
    assert len(found) == 6
    assert sorted(split for _, split in found) == ["test", *["train"] * 4, "validation"]


@given(number=numbers, pose=numbers, expression=st.sampled_from(EXPRESSIONS))
@settings(deadline=None, max_examples=40)
def test_landmarks_lie_in_the_picture(number, pose, expression):
    points = landmarks.of(person(number), frame(pose, expression))
    assert points.shape == (len(landmarks.NAMES), 2)
    assert (points > 0).all() and (points < 1).all()


@given(pose=numbers)
@settings(deadline=None, max_examples=20)
def test_a_rotation_keeps_lengths_and_hands(pose):
    rotation = frame(pose).rotation()
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize(
    "turn", [{}, {"yaw": 0.4}, {"yaw": -0.4, "pitch": 0.2, "roll": 0.2}, {"pitch": -0.25}]
)
def test_the_eyes_are_painted_where_their_landmarks_are(turn):
    """With eyes and nothing else of that colour, the painted pixels' middle must be the landmarks' middle."""
    who = replace(person(3), iris=np.array([0.0, 0, 255]))
    picture = render.draw(who, replace(STRAIGHT, **turn), SIDE, SIDE).astype(int)
    blue = (picture[..., 2] > picture[..., 0] + 60) & (picture[..., 2] > picture[..., 1] + 60)
    rows, columns = np.nonzero(blue & (np.arange(SIDE)[:, None] < 0.7 * SIDE))  # above the shirt
    points = landmarks.of(who, replace(STRAIGHT, **turn)) * SIDE
    middle = points[4:8].mean(axis=0)
    assert abs(columns.mean() + 0.5 - middle[0]) < 2.5 and abs(rows.mean() + 0.5 - middle[1]) < 2.5


def test_yaw_turns_the_nose_to_the_right_pitch_up_and_roll_clockwise():
    tip = landmarks.NAMES.index("nose tip")
    eyes = [landmarks.NAMES.index(name) for name in ("left eye outer", "right eye outer")]
    who, base = person(0), landmarks.of(person(0), STRAIGHT)
    assert landmarks.of(who, replace(STRAIGHT, yaw=0.3))[tip, 0] > base[tip, 0] + 0.02
    assert landmarks.of(who, replace(STRAIGHT, pitch=0.3))[tip, 1] < base[tip, 1] - 0.02
    rolled = landmarks.of(who, replace(STRAIGHT, roll=0.2))
    assert rolled[eyes[1], 1] > rolled[eyes[0], 1]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"smile": 1.0}, {"mouth left", "mouth right", "mouth top", "mouth bottom"}),
        ({"gape": 1.0}, {"mouth top", "mouth bottom"}),
        ({"lift": 1.0}, {"left brow outer", "left brow inner", "right brow inner", "right brow outer"}),
        ({"open": 0.3}, {"left lid upper", "left lid lower", "right lid upper", "right lid lower"}),
    ],
)
def test_an_expression_moves_its_own_landmarks_alone(change, names):
    moved = landmarks.of(person(1), replace(STRAIGHT, **change)) - landmarks.of(person(1), STRAIGHT)
    told = {name for name, shift in zip(landmarks.NAMES, moved, strict=True) if np.abs(shift).max() > 1e-9}
    assert told == names


def test_rays_meet_ellipsoids_where_the_equation_says():
    random = np.random.default_rng(0)
    centres, radii = random.normal(size=(4, 3)), random.uniform(0.5, 2, (4, 3))
    origin, direction = random.normal(size=(50, 3)), np.array([0.6, 0.0, 0.8])
    distance = solids.meet(centres, radii, origin, direction)
    for k in range(4):
        met = np.isfinite(distance[k])
        points = origin[met] + distance[k, met, None] * direction
        np.testing.assert_allclose((((points - centres[k]) / radii[k]) ** 2).sum(axis=1), 1)
        normal = solids.normals(
            np.tile(centres[k], (len(points), 1)), np.tile(radii[k], (len(points), 1)), points
        )
        np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1)
        assert (normal @ direction >= -1e-9).all()  # the side that is farther along, seen from outside
        closest = origin[~met] + ((centres[k] - origin[~met]) @ direction)[:, None] * direction
        assert (np.linalg.norm(closest - centres[k], axis=1) > radii[k].min()).all()


def test_a_pixel_is_the_mean_of_its_rays():
    """Antialiasing: a picture of half the size is about the larger one, averaged."""
    large = render.draw(person(2), STRAIGHT, 64, 64).reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    small = render.draw(person(2), STRAIGHT, 32, 32)
    assert np.abs(large - small).mean() < 2
