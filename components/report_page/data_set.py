"""What the sheet tells of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.judging.judge import fingerprint
from components.project import layout
from components.report_page.files import read_json
from data.prepared import SPLITS


@dataclass(frozen=True)
class DataSet:
    """A data set as the stages left it.

    Attributes:
        name: as in ``params.yaml``.
        spec: ``spec.json`` of the prepared data; None before ``prepare``.
        counts: examples of each split.
        verdict: the last verdict of its validation, passed or failed; None before ``validate``.
        judge: SHA-256 of the classifier that judges generated images of it; None where there is none.
        docs: address of its Data Docs, relative to the sheet; empty when there are none.
    """

    name: str
    spec: dict[str, Any] | None
    counts: dict[str, int]
    verdict: dict[str, Any] | None
    judge: str | None
    docs: str

    @property
    def expectations(self) -> list[dict[str, Any]]:
        """What was expected of it, what does not hold first."""
        return sorted(
            (self.verdict or {}).get("expectations", ()), key=lambda expectation: expectation["success"]
        )

    @property
    def held(self) -> int:
        """How many expectations hold."""
        return sum(expectation["success"] for expectation in self.expectations)


def read(name: str) -> DataSet:
    """Read what is there of data set ``name``."""
    docs = layout.data_docs(name) / "index.html"
    ids = read_json(layout.prepared(name) / "ids.json") or {}
    return DataSet(
        name=name,
        spec=read_json(layout.prepared(name) / "spec.json"),
        counts={split: len(ids[split]) for split in SPLITS if split in ids},
        # A failure is kept beside the last verdict that passed, and goes when the data passes again.
        verdict=read_json(layout.failed_validation_file(name)) or read_json(layout.validation_file(name)),
        judge=fingerprint(name),
        docs=docs.relative_to(layout.REPORT.parent).as_posix() if docs.exists() else "",
    )
