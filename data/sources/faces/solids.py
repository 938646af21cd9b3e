"""The ellipsoids that a head is made of, in the head's own coordinates, and where rays meet them."""

from __future__ import annotations

import numpy as np

from data.sources.faces.person import Person

SKULL, JAW, NOSE, LEFT_EAR, RIGHT_EAR, HAIR = range(6)
DEPTH = 0.7


def of(person: Person) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres and the radii of a person's ellipsoids, float64 [6, 3] each."""
    width, height = person.width, person.height
    nose_z = surface(person, np.zeros(1), np.array([_nose_y(person)]))[0]
    solids = [
        ((0, 0.06, -0.05), (width, height, DEPTH)),
        *_jaw(person),
        ((0, _nose_y(person), nose_z), (person.nose_width, person.nose_length / 2, 0.15)),
        *(((side * width, 0.0, -0.1), (0.09, 0.17, 0.12)) for side in (-1, 1)),
        ((0, 0.12, -0.1), (1.12 * width, 1.08 * height, 1.1 * DEPTH)),
    ]
    centres, radii = zip(*solids, strict=True)
    return np.array(centres), np.array(radii)


def surface(person: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how far the face reaches to the front at (x, y) of the head's coordinates; 0 beside it."""
    found = np.zeros(np.shape(x))
    skull = ((0, 0.06, -0.05), (person.width, person.height, DEPTH))
    for centre, radii in (skull, *_jaw(person)):
        inside = 1 - ((x - centre[0]) / radii[0]) ** 2 - ((y - centre[1]) / radii[1]) ** 2
        found = np.maximum(found, centre[2] + radii[2] * np.sqrt(np.maximum(inside, 0)))
    return found


def meet(centres: np.ndarray, radii: np.ndarray, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return how far along ``direction`` rays leave ellipsoids, [K, P], minus infinity where they pass by.

    Args:
        centres: [K, 3]. radii: [K, 3].
        origin: a point of each ray [P, 3].
        direction: of all rays [3].
    """
    slope = direction / radii
    a = (slope**2).sum(axis=1)[:, None]
    # Axis by axis: NumPy is several times as slow at sums over an axis of three.
    x, y, z = ((origin[:, axis] - centres[:, None, axis]) / radii[:, None, axis] for axis in range(3))
    b = x * slope[:, None, 0] + y * slope[:, None, 1] + z * slope[:, None, 2]
    inside = b**2 - a * (x**2 + y**2 + z**2 - 1)
    distance = (-b + np.sqrt(np.maximum(inside, 0))) / a
    return np.where(inside > 0, distance, -np.inf)


def normals(centres: np.ndarray, radii: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the outward normals [P, 3] of ellipsoids with ``centres`` and ``radii`` [P, 3] at ``points`` on them."""
    normal = (points - centres) / radii**2
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _jaw(person: Person) -> list[tuple]:
    return [
        ((0, -0.4 * person.height, 0.02), (person.jaw * person.width, 0.55 * person.height, 0.86 * DEPTH))
    ]


def _nose_y(person: Person) -> float:
    return person.eye_height - 0.06 - person.nose_length / 2
