"""``challenge_sets:`` of ``dataset.yaml``: folders of images that models are measured on and never learn from."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = re.compile(r"\w[\w-]*")
"""Names of challenge sets: they stand in ids, paths and command lines."""


class ChallengeSet(BaseModel):
    """A folder of images, labelled as those of the data set are.

    Attributes:
        folder: the user's folder, never written to.
        listing: SHA-256 over relative path, size and modification time of each file; ``darkroom run`` notes it.
        coco: COCO's JSON files of the images, of data for detection; without any ``metadata.jsonl`` has ``objects``.
        column: there is a set for each value of this column of the folder's metadata, in place of one of all images.
        values: those of them that count; all that the images have without it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    folder: Path
    listing: str | None = None
    coco: tuple[Path, ...] = ()
    column: str | None = Field(default=None, min_length=1)
    values: tuple[str, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _name_the_column_of_values(self) -> ChallengeSet:
        if self.values is not None and self.column is None:
            raise ValueError("values are those of a column, and none is named")
        return self
