"""``darkroom compare``: two versions side by side."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from flows import tables

_HELP = "NAME, its champion; NAME@challenger; NAME@3, also models:/NAME/3."
_NONE = "-"


def compare(
    a: Annotated[str, typer.Argument(help=f"The version that the other is held against: {_HELP}")],
    b: Annotated[str, typer.Argument(help="The other, of the same model or of another one.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")
    ] = False,
) -> None:
    """Show two versions side by side: settings, data, metrics, slices, graph, what the gate said.

    Both answer the same test examples now, and B's difference from A has a paired 95 % interval.
    """
    with _nothing_collected():
        from components.comparison import two_versions
        from components.registry import reference, versions

        # The first question to the registry imports the most of MLflow.
        first, second = (versions.resolve(reference.parse(named)) for named in (a, b))
    found = two_versions.compare(first, second)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    _show_facts(found)
    _show_settings(found["settings"])
    _show_metrics(found)
    _show_same_examples(found["same_examples"])
    for key in ("slices", "challenge_sets"):
        _show_parts(key.replace("_", " "), found[key])
    _show_reasons(found)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Leave out the search for garbage, of which imports make none; what they made is not searched later, either."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _show_facts(found: Mapping[str, Any]) -> None:
    graph, data, gate = found["graph"], found["data"], found["gate"]
    rows = {
        "version": [_name(found[side]) for side in "ab"],
        "aliases": [", ".join(found[side]["aliases"]) for side in "ab"],
        "task, family": [f"{found[side]['task']}, {found[side]['family']}" for side in "ab"],
        "commit": [_commit(found[side]) for side in "ab"],
        "trained on": [found[side]["trained_on"] for side in "ab"],
        "bundle": [found[side]["bundle_sha256"][:12] for side in "ab"],
        "data": [f"{data[side]['name']} {data[side]['sha256'][:12]}" for side in "ab"],
        "splits": [_splits(data[side]["splits"]) for side in "ab"],
        "graph": [f"{graph[side]['bytes'] / 2**10:,.0f} KiB" for side in "ab"],
        "median latency": [_measured(graph[side]["median_latency_ms"], "{:.2f} ms") for side in "ab"],
        "memory": [_measured(graph[side]["memory_mb"], "{:.0f} MiB") for side in "ab"],
        "the gate said": [f"{said['verdict']}, {said['at']}" if said else "" for said in gate.values()],
    }
    _print("", ["", "A", "B"], [[name, *cells] for name, cells in rows.items()], folded=["A", "B"])
    typer.echo("\nThe data is the same." if data["same"] else "\nThe data differs.")


def _show_settings(settings: Mapping[str, Any]) -> None:
    overrides = settings["overrides"]
    rows = [
        [row["setting"], *(_setting(row, side, overrides[side]) for side in "ab")]
        for row in settings["differing"]
    ]
    told = f"Settings: {len(rows)} differ, {settings['equal']} are equal"
    if settings["resolved"]:
        told += "; * is an override"
    else:
        told += "; what presets and overrides gave was not kept of both"
    _print(told, ["setting", "A", "B"], rows, folded=["A", "B"])


def _show_metrics(found: Mapping[str, Any]) -> None:
    rows = [[row["metric"], _estimate(row["a"]), _estimate(row["b"])] for row in found["metrics"]]
    told = "Metrics, as each was measured when it was made"
    if not found["same_judge"]:
        told += ", by different judges: they do not compare"
    _print(told, ["metric", "A", "B"], rows, folded=["A", "B"])


def _show_same_examples(same: Mapping[str, Any]) -> None:
    if same["why_not"]:
        typer.echo(f"\nThey cannot be asked the same examples: {same['why_not']}")
        return
    told = f"Both asked now, {same['name']} {same['sha256'][:12]}: how much better B is, paired 95 % interval"
    if same["left_out"]:
        told += f"; {same['left_out']:,} test images that one has seen in training are left out"
    rows = [
        [
            row["metric"],
            row["of"],
            str(row["examples"]),
            *(f"{row[side]:.4f}" for side in "ab"),
            _interval(row["difference"], row["low"], row["high"], "+"),
        ]
        for row in same["differences"]
    ]
    _print(told, ["metric", "of", "examples", "A", "B", "B's difference"], rows, folded=["of"])


def _show_parts(what: str, parts: Sequence[Mapping[str, Any]]) -> None:
    if parts:
        rows = [
            [row["name"], _estimate(row["a"]), _estimate(row["b"]), _estimate(row["difference"], "+")]
            for row in parts
        ]
        told = f"{what.capitalize()} by the primary metric; intervals hold beside those of all others"
        _print(told, ["name", "A", "B", "B's difference, asked now"], rows, folded=["A", "B"])


def _show_reasons(found: Mapping[str, Any]) -> None:
    for side in "ab":
        if said := found["gate"][side]:
            typer.echo(f"\nThe gate on {side.upper()}: {said['verdict']}, {said['by']}")
            for reason in said["reasons"]:
                typer.echo(f"  {reason}")


def _print(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], folded: Sequence[str]) -> None:
    table = tables.make(*columns, folded=folded)
    for row in rows:
        tables.add(table, *(cell or _NONE for cell in row))
    if title:
        typer.echo(f"\n{title}")
    if table.row_count:
        tables.show(table)


def _name(about: Mapping[str, Any]) -> str:
    return f"{about['name']} version {about['version']}"


def _commit(about: Mapping[str, Any]) -> str:
    commit = about["git_commit"] or ""
    return f"{commit[:12]} and uncommitted files" if about["git_dirty"] else commit[:12]


def _splits(splits: Mapping[str, int] | None) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in (splits or {}).items())


def _measured(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _setting(row: Mapping[str, Any], side: str, overrides: Mapping[str, str]) -> str:
    value = row[side]
    if value is None:
        return ""
    is_override = row["setting"].partition(".")[0] in {name.partition(".")[0] for name in overrides}
    return f"{value}{' *' if is_override else ''}"


def _estimate(row: Mapping[str, Any] | None, sign: str = "") -> str:
    if row is None or row["value"] is None:
        return ""
    if row["low"] is None:
        return f"{row['value']:{sign}.4f}"
    return _interval(row["value"], row["low"], row["high"], sign)


def _interval(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{value:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"
