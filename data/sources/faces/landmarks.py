"""Where the points of a face lie in the picture."""

from __future__ import annotations

import numpy as np

from data.sources.faces import solids
from data.sources.faces.frame import Frame
from data.sources.faces.person import Person

NAMES = (
    "left brow outer", "left brow inner", "right brow inner", "right brow outer",
    "left eye outer", "left eye inner", "right eye inner", "right eye outer",
    "left lid upper", "left lid lower", "right lid upper", "right lid lower",
    "nose tip", "mouth left", "mouth right", "mouth top", "mouth bottom",
    "jaw left", "jaw right", "chin",
)  # fmt: skip
"""Left and right of the picture when the head looks straight ahead."""

EXTENT = 1.25
"""Half the side of the picture, in the head's units."""

SMILE, GAPE, LIFT = 0.09, 0.1, 0.08
"""How far the mouth's corners, the mouth's middle and the brows go, in the head's units."""


def of(person: Person, frame: Frame) -> np.ndarray:
    """Return float64 [20, 2]: x to the right and y downwards, in [0, 1] of the picture's sides."""
    placed = (_in_head(person, frame) @ frame.rotation().T)[:, :2]
    return 0.5 + placed * [0.5, -0.5] / EXTENT


def mouth_line(person: Person, frame: Frame, x: np.ndarray) -> np.ndarray:
    """Return the height of the middle of the mouth at ``x`` of the head's coordinates."""
    return person.mouth_height + SMILE * frame.smile * ((x / person.mouth_width) ** 2 - 0.5)


def brow_line(person: Person, frame: Frame, x: np.ndarray) -> np.ndarray:
    """Return the height of the middle of a brow at ``x`` from the middle of the eye, outwards."""
    return person.eye_height + person.brow_height + LIFT * frame.lift + person.brow_tilt * x


def _in_head(person: Person, frame: Frame) -> np.ndarray:
    """Return the points in the head's coordinates, [20, 3]."""
    p = person
    points: list[tuple[float, float]] = []
    for outwards in (1, -1), (-1, 1):  # outer before inner at the left, inner before outer at the right
        side = -1 if outwards[0] == 1 else 1
        for out in outwards:
            x = 1.15 * out * p.eye_width
            points.append((side * (p.eye_spacing + x), float(brow_line(p, frame, np.array(x)))))
    points += [
        (side * (p.eye_spacing + out * p.eye_width), p.eye_height)
        for side, out in ((-1, 1), (-1, -1), (1, -1), (1, 1))
    ]
    lid = p.eye_open * frame.open
    points += [(side * p.eye_spacing, p.eye_height + up * lid) for side in (-1, 1) for up in (1, -1)]
    ends = float(mouth_line(p, frame, np.array(p.mouth_width)))
    middle = float(mouth_line(p, frame, np.array(0.0)))
    thick = p.lip + GAPE * frame.gape
    mouth = [(-p.mouth_width, ends), (p.mouth_width, ends), (0, middle + thick), (0, middle - thick)]
    on_face = np.array(points + mouth)
    front = np.column_stack([on_face, solids.surface(p, on_face[:, 0], on_face[:, 1])])
    centres, radii = solids.of(p)
    tip = centres[solids.NOSE] + radii[solids.NOSE] * [0, 0, 1]
    jaw, reach = centres[solids.JAW], radii[solids.JAW]
    outline = [jaw + reach * [-1, 0, 0], jaw + reach * [1, 0, 0], jaw + reach * [0, -1, 0]]
    return np.vstack([front[:12], tip, front[12:], outline])
