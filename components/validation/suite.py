"""``data/<name>/suite.yaml``: what must hold of a data set, and what drift is measured against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from data import spec, yaml_file

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
"""Pillow modes of at most 8 bits a channel: ``convert`` brings them to ``L`` or ``RGB`` without clipping."""


class NearDuplicates(BaseModel):
    """When two images of different splits count as the same picture.

    Attributes:
        distance: greatest number of the 64 bits in which their perceptual hashes differ; null turns the check off.
        tone: and their brightness and their contrast differ by at most so much, of 1.
        allowed: how many images may have such a near duplicate.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    distance: int | None = Field(default=None, ge=0, le=32)
    tone: float = Field(default=0.02, ge=0, le=1)
    allowed: int = Field(default=0, ge=0)


class Drift(BaseModel):
    """How far the data may move from ``reference``, beyond what chance explains at one in a thousand.

    Attributes:
        distance: Kolmogorov-Smirnov distance of a column's distribution, in [0, 1].
        class_share: change of a class's share of the examples, in [0, 1].
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    distance: float = Field(default=0.1, ge=0, le=1)
    class_share: float = Field(default=0.05, ge=0, le=1)


class General(BaseModel):
    """Settings of the expectations that every data set must meet.

    Attributes:
        minimum_side: pixels; a smaller image is taken for a mistake.
        modes: Pillow modes that may occur.
        formats: ``JPEG``, ``PNG``, ``WEBP``, or ``raw`` for the rows of an array.
        examples_per_class: least number of each class in each split; of objects, images that hold one.
        exact_duplicates: how many examples may repeat another's content.
        duplicates_across_splits: how many examples may have the content of one in another split.
        inputs_across_splits: of pairs: how many may have the input of one in another split.
        boxes_beyond_border: of objects: how many boxes may reach beyond the border of their picture.
        near_duplicates: when two images of different splits count as the same picture.
        longest_text: of transcripts: the greatest number of symbols.
        unknown_symbols: how many transcripts outside of train may hold a symbol that none of train has.
        longest_caption: of captions: the greatest number of words.
        unknown_words: how many captions outside of train may hold a word that none of train has.
        drift: how far the data may move from ``reference``.
        label_errors: the greatest share of likely wrong labels, in [0, 1], of data whose labels are looked at (stage
            ``labels``, after prepare); null allows any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum_side: int = Field(default=8, ge=2)
    modes: tuple[str, ...] = MODES
    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "raw")
    examples_per_class: int = Field(default=1, ge=1)
    exact_duplicates: int = Field(default=0, ge=0)
    duplicates_across_splits: int = Field(default=0, ge=0)
    inputs_across_splits: int = Field(default=0, ge=0)
    boxes_beyond_border: int = Field(default=0, ge=0)
    near_duplicates: NearDuplicates = NearDuplicates()
    longest_text: int = Field(default=100, ge=1)
    unknown_symbols: int = Field(default=0, ge=0)
    longest_caption: int = Field(default=100, ge=1)
    unknown_words: int = Field(default=0, ge=0)
    drift: Drift = Drift()
    label_errors: float | None = Field(default=None, ge=0, le=1)


class Sketch(BaseModel):
    """A column's distribution, at some of its values.

    Attributes:
        values: quantiles, ascending.
        below: for each, the share of the examples with a smaller value.
        up_to: for each, the share with a smaller or the same value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: tuple[float, ...]
    below: tuple[float, ...]
    up_to: tuple[float, ...]


class Reference(BaseModel):
    """Statistics of the last accepted manifest.

    Attributes:
        examples: how many there were.
        classes: how many of each class; of data for detection, how many objects.
        columns: a sketch of each measured column.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    examples: int = Field(ge=1)
    classes: dict[str, int]
    columns: dict[str, Sketch]


class Suite(BaseModel):
    """The whole of ``suite.yaml``.

    Attributes:
        general: settings of the expectations that always apply.
        expectations: the data set's own, as Great Expectations knows them: ``type`` and its arguments. With ``table:
            objects`` one is about the objects of data for detection (columns ``category``, ``area``, ``beyond``,
            ``crowd``), else about the examples.
        reference: what drift is measured against; without it nothing can drift.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    general: General = General()
    expectations: tuple[dict[str, Any], ...] = ()
    reference: Reference | None = None


def load(path: Path) -> Suite:
    """Read and check a ``suite.yaml``; the expectations themselves are checked where they are run.

    Raises:
        UserError: the file is missing, is not YAML, or holds an unknown key or a value that cannot be.
    """
    values = yaml_file.read(path, f"Infer it from the data with: darkroom data infer {path.parent.name}")
    return spec.parse(path, Suite, values)
