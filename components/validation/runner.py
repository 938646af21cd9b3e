"""Runs expectations by Great Expectations, and writes its Data Docs."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from components.validation import offline_docs
from components.validation.expectations import KEYS, Expectation
from components.validation.gx import (
    ProgressBarsConfig,
    ValidationError,
    get_expectation_impl,
    gx,
    list_registered_expectation_implementations,
)
from data import atomic
from data.errors import UserError, nearest

OWN_TABLES = ("examples", "objects")
"""The tables that a data set's own expectations can be about."""

SHOWN = 10
"""How many offending rows are named; the rest are counted."""

_OBSERVED = {
    "observed_value": "observed",
    "partial_missing_list": "missing",
    "partial_unexpected_list": "unexpected",
}

# What an argument can be that is Great Expectations' own business, not a data set's.
_INTERNAL = {"batch_id", "catch_exceptions", "id", "rendered_content", "result_format", "windows"}


@dataclass(frozen=True)
class Outcome:
    """How one expectation came out.

    Attributes:
        expectation: which.
        success: whether it holds.
        count: how many rows break it, or None where it is about the whole column.
        rows: names of the first ``SHOWN`` of them, each with what it has in the column.
        observed: what was found, for an expectation about the whole column.
    """

    expectation: Expectation
    success: bool
    count: int | None
    rows: tuple[str, ...]
    observed: Any


def own(
    path: Path, items: tuple[dict[str, Any], ...], tables: Mapping[str, pd.DataFrame]
) -> list[Expectation]:
    """Check the data set's own expectations of the suite file ``path``.

    Raises:
        UserError: an expectation, an argument, a table or a column that does not exist, or an argument that cannot be.
    """
    open_to_all = {name: list(table.columns) for name, table in tables.items() if name in OWN_TABLES}
    return [
        _own(f"{path}: expectations.{index}", dict(item), open_to_all) for index, item in enumerate(items)
    ]


def run(
    dataset: str, expectations: list[Expectation], tables: dict[str, pd.DataFrame], docs: Path | None
) -> list[Outcome]:
    """Run ``expectations`` on ``tables``; with ``docs``, write the Data Docs there whatever comes out."""
    # Its page renderer prints tracebacks, for one on a failed expect_column_distinct_values_to_equal_set.
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas(dataset)
    outcomes, verdicts = [], {}
    for name, table in tables.items():
        chosen = [expectation for expectation in expectations if expectation.table == name]
        found = _run_table(context, source, dataset, name, table, chosen)
        verdicts[f"{dataset}-{name}"] = all(outcome.success for outcome in found)
        outcomes += found
    if docs is not None:
        _write_docs(context, docs, dataset, verdicts)
    return outcomes


def _run_table(
    context: Any, source: Any, dataset: str, name: str, table: pd.DataFrame, chosen: list[Expectation]
) -> list[Outcome]:
    suite = context.suites.add(gx.ExpectationSuite(f"{dataset}-{name}"))
    for index, expectation in enumerate(chosen):
        implementation = get_expectation_impl(expectation.type)
        description = expectation.says or None
        # The results come in another order: the index finds each one's expectation again.
        suite.add_expectation(
            implementation(**expectation.arguments, description=description, meta={"index": index})
        )
    batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
    definition = gx.ValidationDefinition(name=f"{dataset}-{name}", data=batch, suite=suite)
    checkpoint = gx.Checkpoint(
        name=f"{dataset}-{name}",
        validation_definitions=[context.validation_definitions.add(definition)],
        result_format={"result_format": "SUMMARY", "unexpected_index_column_names": [KEYS[name]]},
    )
    result = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": table})
    (validation,) = result.run_results.values()
    found = sorted(validation.results, key=lambda one: one.expectation_config.meta["index"])
    return [_outcome(expectation, one) for expectation, one in zip(chosen, found, strict=True)]


def _outcome(expectation: Expectation, found: Any) -> Outcome:
    if found.exception_info.get("raised_exception"):
        why = found.exception_info["exception_message"]
        raise UserError(f"{expectation.type}({_arguments(expectation)}) cannot be tried: {why}")
    details = found.result
    rows = [_name(row, expectation) for row in details.get("partial_unexpected_index_list", [])]
    # About a whole column, either a value is observed, or it is said what is missing and what is too much.
    whole = {
        says: details[key]
        for key, says in _OBSERVED.items()
        if "unexpected_percent" not in details and details.get(key)
    }
    count = details.get("unexpected_count") if "unexpected_percent" in details else None
    return Outcome(expectation, bool(found.success), count, tuple(rows[:SHOWN]), whole or None)


def _name(row: dict[str, Any], expectation: Expectation) -> str:
    """Return the row's name and what it has in the column that the expectation is about."""
    name, value = row[KEYS[expectation.table]], row.get(expectation.arguments.get("column"))
    if value is None or value != value:
        return str(name)
    return f"{name} ({value:g})" if isinstance(value, float) else f"{name} ({value})"


def _own(where: str, arguments: dict[str, Any], tables: Mapping[str, list[str]]) -> Expectation:
    kinds = list_registered_expectation_implementations()
    table = arguments.pop("table", "examples")
    if table not in tables:
        raise UserError(f"{where}.table: no table {table!r}.{nearest(table, tables)}")
    kind = arguments.pop("type", None)
    if kind is None:
        raise UserError(
            f"{where}: needs a 'type'. Such as: {{type: expect_column_values_to_not_be_null, column: label}}"
        )
    if kind not in kinds:
        raise UserError(f"{where}.type: no expectation {kind!r}.{_closest(kind, kinds)}")
    implementation = get_expectation_impl(kind)
    fields = sorted(implementation.__fields__.keys() - _INTERNAL)
    for name in arguments:
        if name not in fields:
            raise UserError(f"{where}.{name}: {kind} has no such argument.{nearest(name, fields)}")
    try:
        implementation(**arguments)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"{where}.{'.'.join(map(str, problem['loc']))}: {problem['msg']} ({kind})") from None
    for name in ("column", "column_A", "column_B"):
        if name in arguments and arguments[name] not in tables[table]:
            raise UserError(
                f"{where}.{name}: no column {arguments[name]!r}.{nearest(arguments[name], tables[table])}"
            )
    return Expectation(table, kind, arguments)


def _closest(kind: str, kinds: list[str]) -> str:
    close = difflib.get_close_matches(str(kind), kinds, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else nearest(kind, kinds)


def _arguments(expectation: Expectation) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in expectation.arguments.items())


def _write_docs(context: Any, docs: Path, dataset: str, verdicts: dict[str, bool]) -> None:
    with atomic.folder(docs.absolute()) as folder:
        for site in list(context.list_data_docs_sites()):
            context.delete_data_docs_site(site)
        context.add_data_docs_site(
            "local",
            {
                "class_name": "SiteBuilder",
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
            },
        )
        context.build_data_docs()
        offline_docs.write(folder, dataset, verdicts)
