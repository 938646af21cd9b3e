"""Which data set is made from which: ``from`` of ``dataset.yaml``, and what ``params.yaml`` tells DVC of it."""

from __future__ import annotations

from collections.abc import Mapping

from components.project.layout import dataset_file, prepared
from components.project.sections import FILE
from data import spec
from data.errors import UserError


def reads(dataset: str) -> str:
    """Return what the ingest of ``dataset`` reads: its ``dataset.yaml``, or its parent's prepared data.

    Raises:
        UserError: its ``dataset.yaml`` is missing or wrong.
    """
    parent = spec.load(dataset_file(dataset)).parent
    return (prepared(parent) if parent else dataset_file(dataset)).as_posix()


def entries(dataset: str) -> dict[str, str]:
    """Return what ``datasets`` of ``params.yaml`` says of ``dataset`` and what it is made from, parents first."""
    parent = spec.load(dataset_file(dataset)).parent
    return (entries(parent) if parent else {}) | {dataset: reads(dataset)}


def check(datasets: Mapping[str, str]) -> None:
    """Check ``datasets`` of ``params.yaml``: with a wrong one DVC would not see a change in the parent.

    Raises:
        UserError: one reads something else than is said there, or is made from one that is not there.
    """
    for dataset, said in datasets.items():
        wanted = entries(dataset)
        if said != wanted[dataset]:
            raise UserError(
                f"{FILE}: datasets.{dataset}: {said!r}, but its ingest reads {wanted[dataset]!r}."
            )
        for parent in wanted.keys() - datasets.keys():
            raise UserError(
                f"{FILE}: datasets: {dataset!r} is made from {parent!r}, which is not there. "
                f"Add: {parent}: {wanted[parent]}"
            )
