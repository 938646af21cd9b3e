"""Stage ``validate``: tries on a manifest what must hold of it; a failure stops everything downstream."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from components.datasets import manifest
from components.project.command import main
from components.project.layout import (
    data_docs,
    dataset_file,
    failed_validation_file,
    ingested,
    suite_file,
    validation_file,
)
from components.validation import expectations, rows, suite
from components.validation.runner import Outcome, own
from components.validation.runner import run as run_expectations
from data import atomic, spec
from data.errors import UserError


def run(dataset: str) -> Path:
    """Validate the manifest of ``dataset``; return the verdict's file.

    Raises:
        UserError: an expectation does not hold. The message names it and the offending files; the verdict is
            kept in ``.darkroom/validation/``. Or ``suite.yaml`` or ``dataset.yaml`` is wrong.
    """
    settings = spec.load(dataset_file(dataset))
    chosen = suite.load(suite_file(dataset))
    outcomes = check(
        dataset,
        # Held by nobody else, so that it is given back early.
        rows.read(ingested(dataset), chosen.expectations, settings.splits),
        chosen,
        settings.splits,
        data_docs(dataset),
    )
    verdict = {
        "dataset": dataset,
        "success": all(outcome.success for outcome in outcomes),
        "manifest": manifest.fingerprint(ingested(dataset)),
        "suite": hashlib.sha256(suite_file(dataset).read_bytes()).hexdigest(),
        "expectations": [describe(outcome) for outcome in outcomes],
    }
    if not verdict["success"]:
        atomic.write_json(failed_validation_file(dataset), verdict)
        raise UserError(
            f"the data set {dataset!r} failed its validation.\n{explain(dataset, outcomes)}\n"
            f"All of it: {data_docs(dataset) / 'index.html'}"
        )
    atomic.write_json(validation_file(dataset), verdict)
    failed_validation_file(dataset).unlink(missing_ok=True)
    return validation_file(dataset)


def check(
    dataset: str, read: pd.DataFrame, chosen: suite.Suite, splits: spec.Splits, docs: Path | None
) -> list[Outcome]:
    """Try the general expectations and the data set's own; with ``docs``, write the Data Docs there."""
    tables = expectations.tables(read, chosen, splits)
    all_of_them = [
        *expectations.general(chosen, read),
        *own(suite_file(dataset), chosen.expectations, tables),
    ]
    del read
    tables = expectations.narrowed(tables, all_of_them)
    return run_expectations(dataset, all_of_them, tables, docs)


def describe(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON values, the same for the same data."""
    expectation = outcome.expectation
    values = {
        "table": expectation.table,
        "type": expectation.type,
        "arguments": expectation.arguments,
        "says": expectation.says,
        "success": outcome.success,
        "count": outcome.count,
        "rows": outcome.rows,
        "observed": outcome.observed,
    }
    return json.loads(json.dumps(values, default=str))


def explain(dataset: str, outcomes: list[Outcome]) -> str:
    """Return a paragraph per failed expectation: what it is, what breaks it, and where its bound is set."""
    return "\n".join(_explain(dataset, outcome) for outcome in outcomes if not outcome.success)


def _explain(dataset: str, outcome: Outcome) -> str:
    expectation = outcome.expectation
    arguments = ", ".join(f"{name}={value!r}" for name, value in expectation.arguments.items())
    lines = [f"  {expectation.says or 'an expectation of its own'}: {expectation.type}({arguments})"]
    if outcome.count is not None:
        rest = f" and {outcome.count - len(outcome.rows):,} more" if outcome.count > len(outcome.rows) else ""
        lines.append(f"    broken by {outcome.count:,}: {', '.join(outcome.rows)}{rest}")
    if outcome.observed:
        lines.append("    " + ", ".join(f"{name}: {value}" for name, value in outcome.observed.items()))
    if expectation.setting:
        lines.append(f"    its bound: {suite_file(dataset)}: {expectation.setting}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(run)
