"""The slices of a data set's test split, as the ``prepare`` stage writes them beside the prepared folder.

They lie beside it because no training depends on them: who adds a slice trains nothing anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.project import layout
from data import atomic
from data.errors import UserError

_ID, _SLICE, _RULE = "id", "slice ", b"rule"


@dataclass(frozen=True)
class Slices:
    """Parts of the test split; they may overlap, and need not cover it.

    Attributes:
        ids: the N test examples.
        rules: what each holds, in words, by name.
        members: bool [N, S], which test examples each holds.
    """

    ids: list[str]
    rules: dict[str, str]
    members: np.ndarray

    @property
    def names(self) -> list[str]:
        """Their names, in the order of ``dataset.yaml``."""
        return list(self.rules)

    @property
    def sha256(self) -> str:
        """A hash of them."""
        told = json.dumps([self.ids, self.rules]).encode()
        return hashlib.sha256(told + np.packbits(self.members).tobytes()).hexdigest()

    def take(self, rows: np.ndarray) -> Slices:
        """Return the same of the examples at ``rows`` int64 [n] alone."""
        return replace(self, ids=[self.ids[row] for row in rows], members=self.members[rows])


def write(path: Path, found: Slices | None) -> None:
    """Write slices to ``path``; of a data set without any a table of nothing."""
    columns, fields = [], []
    if found is not None:
        columns, fields = [pa.array(found.ids)], [pa.field(_ID, pa.string())]
        for place, (name, rule) in enumerate(found.rules.items()):
            columns.append(pa.array(found.members[:, place]))
            fields.append(pa.field(f"{_SLICE}{name}", pa.bool_(), metadata={_RULE: rule.encode()}))
    with atomic.file(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=pa.schema(fields)), temporary)


def read(dataset: str, ids: list[str] | None = None) -> Slices | None:
    """Return the slices of the test examples ``ids`` of ``dataset``, of all without it; None where there are none.

    Raises:
        UserError: they are of other test examples.
    """
    path = layout.slices_file(dataset)
    found = load(path) if path.exists() else None
    if found is None or ids is None:
        return found
    place = {id: number for number, id in enumerate(found.ids)}
    if unknown := [id for id in ids if id not in place]:
        raise UserError(
            f"{path}: says nothing of the test example {unknown[0]!r}. Run the prepare stage again."
        )
    return found.take(np.array([place[id] for id in ids], np.int64))


def load(path: Path) -> Slices | None:
    """Return the slices that :func:`write` wrote to ``path``; None where there are none."""
    table = pq.read_table(path)
    if not table.column_names:
        return None
    fields = [field for field in table.schema if field.name != _ID]
    return Slices(
        table[_ID].to_pylist(),
        {field.name.removeprefix(_SLICE): field.metadata[_RULE].decode() for field in fields},
        np.stack([np.asarray(table[field.name]) for field in fields], axis=1),
    )
