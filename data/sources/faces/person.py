"""Who somebody is: the numbers that stay the same from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKIN = np.array([[255, 224, 196], [234, 192, 152], [198, 144, 100], [141, 92, 60], [88, 56, 40]])
HAIR = np.array([[24, 20, 20], [72, 46, 30], [122, 76, 40], [206, 168, 96], [160, 62, 30], [170, 170, 176]])
IRIS = np.array([[60, 38, 22], [92, 120, 150], [70, 110, 66], [120, 100, 60]])
SHIRT = np.array([[52, 84, 140], [150, 48, 52], [56, 116, 84], [90, 90, 98], [196, 156, 60], [110, 70, 130]])


@dataclass(frozen=True, kw_only=True)
class Person:
    """Lengths are in units in which a picture is 2.5 wide and a head about 0.9 high from its middle; colours RGB.

    Attributes:
        width: half the skull's. height: half the skull's. jaw: the jaw's width, as a share of the skull's.
        skin, hair, iris, lips, shirt: colours, float64 [3] in 0 .. 255.
        hairline: height at which the hair begins. length: how far down the hair falls at the sides.
        eye_spacing, eye_height, eye_width, eye_open: place and half the sizes of the eyes.
        brow_height: above the eyes. brow_thickness, brow_tilt: half the thickness; the tilt as a slope.
        nose_length, nose_width: of the nose.
        mouth_height, mouth_width, lip: place, half the width and thickness of the mouth.
    """

    width: float
    height: float
    jaw: float
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    shirt: np.ndarray
    hairline: float
    length: float
    eye_spacing: float
    eye_height: float
    eye_width: float
    eye_open: float
    brow_height: float
    brow_thickness: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    lip: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> Person:
        """Draw a person."""
        between = random.uniform
        skin = _along(SKIN, between())
        return cls(
            width=between(0.56, 0.72),
            height=between(0.78, 0.92),
            jaw=between(0.7, 0.92),
            skin=skin,
            hair=_shade(HAIR[random.integers(len(HAIR))], random),
            iris=_shade(IRIS[random.integers(len(IRIS))], random),
            lips=0.55 * skin + 0.45 * np.array([190, 50, 60]) * between(0.7, 1.0),
            shirt=_shade(SHIRT[random.integers(len(SHIRT))], random),
            hairline=between(0.36, 0.58),
            length=between(-0.9, 0.3),
            eye_spacing=between(0.21, 0.29),
            eye_height=between(0.04, 0.16),
            eye_width=between(0.10, 0.135),
            eye_open=between(0.055, 0.08),
            brow_height=between(0.15, 0.22),
            brow_thickness=between(0.018, 0.04),
            brow_tilt=between(-0.25, 0.25),
            nose_length=between(0.17, 0.27),
            nose_width=between(0.07, 0.12),
            mouth_height=between(-0.5, -0.4),
            mouth_width=between(0.16, 0.25),
            lip=between(0.03, 0.055),
        )


def _along(colours: np.ndarray, share: float) -> np.ndarray:
    """Return the colour ``share`` of the way along a row of colours."""
    place = share * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    return colours[first] + (place - first) * (colours[first + 1] - colours[first])


def _shade(colour: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.clip(colour * random.uniform(0.85, 1.15) + random.uniform(-8, 8, 3), 0, 255)
