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


def meet(
    centres: np.ndarray, radii: np.ndarray, origin: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where rays leave ellipsoids, farthest along ``direction``.

    Args:
        centres: [K, 3]. radii: [K, 3].
        origin: a point of each ray [P, 3].
        direction: of all rays [3].

    Returns:
        how far along the ray, [K, P], minus infinity where it passes by; and the outward normals there [K, P, 3].
    """
    offset = (origin - centres[:, None]) / radii[:, None]
    slope = direction / radii
    a = (slope**2).sum(axis=1)[:, None]
    b = np.einsum("kpi,ki->kp", offset, slope)
    inside = b**2 - a * ((offset**2).sum(axis=2) - 1)
    distance = (-b + np.sqrt(np.maximum(inside, 0))) / a
    normal = (offset + distance[..., None] * slope[:, None]) / radii[:, None]
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return np.where(inside > 0, distance, -np.inf), normal


def _jaw(person: Person) -> list[tuple]:
    return [
        ((0, -0.4 * person.height, 0.02), (person.jaw * person.width, 0.55 * person.height, 0.86 * DEPTH))
    ]


def _nose_y(person: Person) -> float:
    return person.eye_height - 0.06 - person.nose_length / 2
