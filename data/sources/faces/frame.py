"""What somebody does in a frame: the pose of the head and the expression of the face."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

EXPRESSIONS = ("calm", "smile", "surprise")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame.

    Attributes:
        yaw: to the picture's right, in radians. pitch: upwards. roll: clockwise.
        expression: one of :data:`EXPRESSIONS`.
        smile: how far the corners of the mouth are up, -1 to 1.
        gape: how far the mouth is open, 0 to 1.
        lift: how far the brows are raised, 0 to 1.
        open: how far the eyes are open, 0 to 1.3.
    """

    yaw: float
    pitch: float
    roll: float
    expression: str
    smile: float
    gape: float
    lift: float
    open: float

    @classmethod
    def draw(cls, random: np.random.Generator, expression: str) -> Frame:
        """Draw a pose, and an expression of that name in some strength."""
        yaw, pitch, roll = (math.radians(random.uniform(-reach, reach)) for reach in (38, 18, 14))
        strength, blink = random.uniform(0.6, 1.0), random.uniform()
        calm = random.uniform(-0.25, 0.15)
        return cls(
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            expression=expression,
            smile=strength if expression == "smile" else calm,
            gape=strength if expression == "surprise" else 0.25 * strength if expression == "smile" else 0.0,
            lift=strength if expression == "surprise" else 0.0,
            open=0.25 if blink < 0.08 else 1.0 + 0.3 * strength * (expression == "surprise"),
        )

    def rotation(self) -> np.ndarray:
        """Return the matrix [3, 3] from the head's coordinates to the camera's: x right, y up, z to the viewer."""
        (cy, sy), (cp, sp), (cr, sr) = (
            (math.cos(angle), math.sin(angle)) for angle in (self.yaw, self.pitch, self.roll)
        )
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
        return about_z @ about_x @ about_y
