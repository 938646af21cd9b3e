"""What is drawn to make a data set of: the settings of ``dataset.yaml`` that say how many, and how they look."""

from __future__ import annotations

from string import Formatter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Level, Level, Level]
"""Red, green and blue."""


class HeadsSpec(BaseModel):
    """How many heads are drawn: ``people``, each in ``frames`` frames, from ``seed``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: int = Field(ge=3)
    frames: int = Field(ge=2)
    seed: int = Field(default=0, ge=0)


class ScenesSpec(BaseModel):
    """How many scenes are drawn of each split's items, from ``seed``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: int = Field(ge=1)
    validation: int = Field(ge=1)
    test: int = Field(ge=1)
    seed: int = Field(default=0, ge=0)


class LinesSpec(BaseModel):
    """Lines that are made of another data set's images.

    Attributes:
        train: lines of each split, of images of that split alone; so ``validation`` and ``test``.
        shortest: fewest items in a line.
        longest: most items in a line.
        gaps: pixels between two items, at least and at most; negative where they overlap.
        shrink: the sides of items are divided by it.
        seed: of all random numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: int = Field(ge=1)
    validation: int = Field(ge=1)
    test: int = Field(ge=1)
    shortest: int = Field(default=3, ge=1)
    longest: int = Field(default=6, ge=1)
    gaps: tuple[int, int] = (-1, 3)
    shrink: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _have_ranges_that_rise(self) -> LinesSpec:
        for low, high in ((self.shortest, self.longest), self.gaps):
            if low > high:
                raise ValueError(f"from {low} to {high}: the first must not be the greater one")
        return self


class SubjectSpec(BaseModel):
    """One image that pictures come back to.

    Attributes:
        word: what captions call it, before the name of its class.
        id: of an image of the train split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    word: str = Field(pattern=r"^\w+$")
    id: str


class TintedSpec(BaseModel):
    """Pictures of another data set's grey images, each in one ink on one ground, with a caption.

    Attributes:
        train: pictures of each split, of images of that split alone; so ``validation`` and ``test``.
        inks: by their names in captions, the colours that bright pixels take: red, green and blue, each 0 to 255.
        grounds: likewise, those that black pixels take.
        names: what captions call a class, where that is not the class itself.
        wordings: captions, each as likely as any other, with ``{ink}``, ``{ground}`` and ``{name}`` where those stand.
        inverted: a word. As many pictures have ink and ground in each other's place, in colours that no other picture
            has there; they are of classes of their own, ``WORD CLASS``, in captions the word before the name.
        subject: one image that is a class of its own as well, ``WORD CLASS``.
        seed: of all random numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: int = Field(ge=1)
    validation: int = Field(ge=1)
    test: int = Field(ge=1)
    inks: dict[str, Colour] = Field(min_length=1)
    grounds: dict[str, Colour] = Field(min_length=1)
    names: dict[str, str] = Field(default_factory=dict)
    wordings: tuple[str, ...] = Field(min_length=1)
    inverted: str | None = Field(default=None, pattern=r"^\w+$")
    subject: SubjectSpec | None = None
    seed: int = Field(default=0, ge=0)

    @field_validator("wordings")
    @classmethod
    def _name_all_that_is_seen(cls, wordings: tuple[str, ...]) -> tuple[str, ...]:
        for wording in wordings:
            try:
                named = sorted({field for _, field, _, _ in Formatter().parse(wording) if field is not None})
            except ValueError as error:
                raise ValueError(f"{wording!r}: {error}") from None
            if named != ["ground", "ink", "name"]:
                raise ValueError(
                    f"{wording!r} must have {{ink}}, {{ground}} and {{name}}, and no other braces"
                )
        return wordings
