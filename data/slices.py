"""``slices:`` of ``dataset.yaml``: parts of the test split that are measured, and compared, by themselves."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

DESCRIBED = ("label", "mode", "format")
"""Columns that every image has; all others are of the user's metadata."""

PROPERTIES = ("width", "height", "brightness", "contrast", "sharpness", "box_area")


class Bounds(BaseModel):
    """Between which values of a property an image must lie.

    Attributes:
        at_least: in the property's own unit.
        below: likewise.
        lowest: the images up to the value that this share of the train split has at most, in (0, 1).
        highest: those from the value on that this share of the train split has at least.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)
    lowest: float | None = Field(default=None, gt=0, lt=1)
    highest: float | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="after")
    def _bound_something(self) -> Bounds:
        if all(getattr(self, key) is None for key in type(self).model_fields):
            raise ValueError(f"a bound is one of {', '.join(type(self).model_fields)}")
        if None not in (self.at_least, self.below) and self.at_least >= self.below:
            raise ValueError(f"no number is at least {self.at_least:g} and below {self.below:g}")
        return self


class SliceRule(BaseModel):
    """Which images are in a slice, or in each of several.

    Attributes:
        column: there is a slice for each value of this column of the metadata, or of one of :data:`DESCRIBED`.
        values: those of them that count; all that test images have without it.
        width: pixels of the original; this and all below: the images that meet every bound that is given.
        height: likewise.
        brightness: as the manifest has it (``data/image_statistics.py``), in [0, 1].
        contrast: likewise, in [0, 0.5].
        sharpness: likewise, at least 0.
        box_area: detection: area of the image's smallest object, as a share of the picture's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    column: str | None = Field(default=None, min_length=1)
    values: tuple[str, ...] | None = Field(default=None, min_length=1)
    width: Bounds | None = None
    height: Bounds | None = None
    brightness: Bounds | None = None
    contrast: Bounds | None = None
    sharpness: Bounds | None = None
    box_area: Bounds | None = None

    @property
    def bounds(self) -> dict[str, Bounds]:
        """The bounds that are given, by property."""
        return {name: bound for name in PROPERTIES if (bound := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _say_one_thing(self) -> SliceRule:
        if (self.column is None) == (not self.bounds):
            raise ValueError(f"a slice has either a column, or bounds on some of {', '.join(PROPERTIES)}")
        if self.values is not None and self.column is None:
            raise ValueError("values are those of a column, and none is named")
        return self


def metadata_columns(rules: dict[str, SliceRule]) -> tuple[str, ...]:
    """Return the columns of the user's metadata that ``rules`` need, sorted."""
    return tuple(sorted({rule.column for rule in rules.values() if rule.column is not None} - {*DESCRIBED}))
