"""From a person and a frame to a picture: a ray for each ninth of a pixel, averaged over the pixel."""

from __future__ import annotations

import numpy as np

from data.sources.faces import solids
from data.sources.faces.frame import Frame
from data.sources.faces.landmarks import EXTENT, GAPE, brow_line, mouth_line
from data.sources.faces.person import Person

RAYS = 3
"""Rays a side of a pixel: the mean over them is what smooths edges."""

_LIGHT = np.array([-0.4, 0.55, 0.73])
_BACKGROUND = np.array([214.0, 220.0, 226.0])
_WHITE, _DARK = np.array([246.0, 246.0, 242.0]), np.array([40.0, 22.0, 24.0])


def draw(person: Person, frame: Frame, height: int, width: int) -> np.ndarray:
    """Return uint8 [H, W, 3]."""
    rows, columns = (
        EXTENT * (2 * (np.arange(RAYS * size) + 0.5) / (RAYS * size) - 1) for size in (height, width)
    )
    up, right = (axis.ravel() for axis in np.meshgrid(-rows, columns, indexing="ij"))
    colour = _body(person, right, up)
    rotation = frame.rotation()
    # Rays in the head's coordinates: the head stands still and the camera turns.
    origin = np.stack([right, up, np.zeros_like(up)], axis=1) @ rotation
    direction = rotation[2]
    centres, radii = solids.of(person)
    distance = solids.meet(centres, radii, origin, direction)
    hair = distance[solids.HAIR]
    distance[solids.HAIR] = np.where(_is_hair(person, _along(origin, direction, hair)), hair, -np.inf)
    nearest = distance.argmax(axis=0)
    farthest = distance.max(axis=0)
    hit = np.isfinite(farthest)
    points = _along(origin, direction, farthest)
    painted = _paint(person, frame, points, nearest)
    normal = solids.normals(centres[nearest], radii[nearest], points)
    light = np.clip(normal @ (_LIGHT @ rotation), 0, 1)
    lit = painted * (0.62 + 0.42 * light)[:, None]
    colour = np.where(hit[:, None], lit, colour)
    pixels = colour.reshape(height, RAYS, width, RAYS, 3).mean(axis=(1, 3))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _along(origin: np.ndarray, direction: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return the points [P, 3] of rays at a distance [P]; at the origin where they meet nothing."""
    return origin + np.where(np.isfinite(distance), distance, 0.0)[:, None] * direction


def _body(person: Person, right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return what lies behind the head, [P, 3]: neck, shoulders, background."""
    colour = np.tile(_BACKGROUND, (len(up), 1))
    colour[(np.abs(right) < 0.3) & (up < -0.4)] = 0.72 * person.skin
    colour[(right / 0.95) ** 2 + ((up + 1.4) / 0.5) ** 2 < 1] = person.shirt
    return colour


def _is_hair(person: Person, points: np.ndarray) -> np.ndarray:
    """Return bool [P]: whether hair grows at these points of its ellipsoid, or falls there."""
    x, y, z = points.T
    above = y > person.hairline - 0.25 * (x / person.width) ** 2
    return np.where(z > 0.12, above, y > person.length)


def _paint(person: Person, frame: Frame, points: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Return the colours [P, 3], without light, of points of the solids."""
    colour = np.tile(person.skin, (len(points), 1))
    colour[solid == solids.HAIR] = person.hair
    colour[solid == solids.NOSE] *= 0.93
    face = ((solid == solids.SKULL) | (solid == solids.JAW)) & (points[:, 2] > 0)
    x, y = points[:, 0], points[:, 1]
    for side in (-1, 1):
        _paint_eye(colour, person, frame, side * x - person.eye_spacing, y, face)
    _paint_mouth(colour, person, frame, x, y, face)
    return colour


def _paint_eye(
    colour: np.ndarray, person: Person, frame: Frame, x: np.ndarray, y: np.ndarray, face: np.ndarray
) -> None:
    """Paint an eye and its brow; ``x`` is from the eye's middle, outwards."""
    opening = max(person.eye_open * frame.open, 1e-3)
    up = y - person.eye_height
    lash = (x / (1.18 * person.eye_width)) ** 2 + (up / (opening + 0.022)) ** 2 < 1
    white = (x / person.eye_width) ** 2 + (up / opening) ** 2 < 1
    from_middle = x**2 + up**2
    colour[face & lash] = _DARK
    colour[face & white] = _WHITE
    colour[face & white & (from_middle < 0.062**2)] = person.iris
    colour[face & white & (from_middle < 0.03**2)] = _DARK
    brow = (np.abs(x) < 1.15 * person.eye_width) & (
        np.abs(y - brow_line(person, frame, x)) < person.brow_thickness
    )
    colour[face & brow] = 0.8 * person.hair


def _paint_mouth(
    colour: np.ndarray, person: Person, frame: Frame, x: np.ndarray, y: np.ndarray, face: np.ndarray
) -> None:
    reach = 1 - (x / person.mouth_width) ** 2
    off = np.abs(y - mouth_line(person, frame, x))
    gape = GAPE * frame.gape * np.sqrt(np.maximum(reach, 0))
    mouth = face & (reach > 0)
    colour[mouth & (off < person.lip * np.maximum(reach, 0.25) + gape)] = person.lips
    colour[mouth & (off < np.maximum(gape, 0.008))] = _DARK
