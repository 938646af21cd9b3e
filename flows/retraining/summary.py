"""What stands after a run: every model with its metric and interval, its version, the gate's word, and its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from components.project import layout, params
from components.project.sections import GatePolicy


def rows(models: Iterable[str]) -> list[dict[str, Any]]:
    """Return a row for each model.

    Keys: ``model``, ``family``, ``dataset``, ``metric``, ``value``, ``low``, ``high``, ``version``, ``champion`` (the
    champion's version or None), ``verdict`` (``champion``, ``refused``, ``undecided``, or ``pending``, ``lapsed`` and
    ``rejected`` where it is on trial or people have to approve), ``reasons``, ``pictures`` and ``bundle``.

    Raises:
        UserError: the registry's store does not answer.
    """
    from components.registry import ledger, versions, waiting

    settings = params.load()
    registered, decisions = versions.snapshot(), ledger.history()
    table = []
    for name in models:
        entry = settings.model(name)
        model = registered.get(name, versions.Model(name))
        sha256 = bundle_sha256(name)
        version = next(iter(model.of_bundle(sha256)), None)
        champion = model.alias("champion")
        said = [
            d for d in decisions if d.kind == "decision" and d.model == name and d.bundle_sha256 == sha256
        ]
        verdict, reasons = (said[-1].verdict, said[-1].reasons) if said else ("undecided", ())
        if verdict == "pending":
            verdict, reasons, _ = waiting.of(said[-1], decisions, settings.gate.get(name, GatePolicy()))
        is_champion = champion is not None and champion.bundle_sha256 == sha256
        table.append(
            {
                "model": name,
                "family": entry.family,
                "dataset": entry.dataset,
                **_primary(name),
                "version": version.number if version else None,
                "champion": champion.number if champion else None,
                "verdict": "champion" if is_champion else verdict,
                "reasons": list(reasons),
                "pictures": str(layout.evaluated(name) / "plots"),
                "bundle": str(layout.bundle(name)),
            }
        )
    return table


def is_decided(models: Iterable[str]) -> bool:
    """Whether the present bundle of every model is registered and the gate has decided on it as things stand."""
    from components import gate
    from components.registry import versions

    registered = versions.snapshot()
    return all(
        gate.is_decided(registered.get(name, versions.Model(name)), bundle_sha256(name)) for name in models
    )


def bundle_sha256(name: str) -> str:
    """Return the identity of the exported bundle of ``name``; empty when there is none."""
    from components.bundles import bundle

    folder = layout.bundle(name)
    return bundle.sha256(folder) if (folder / "bundle.json").exists() else ""


def show(table: list[dict[str, Any]], as_json: bool) -> None:
    """Print what :func:`rows` gave as a table, or as JSON."""
    if as_json:
        print(json.dumps(table, indent=2))
        return
    from flows import tables

    drawn = tables.make("model", "metric", "95 % interval", "version", "gate")
    for row in table:
        style = {"champion": "green", "refused": "red", "rejected": "red"}.get(row["verdict"], "yellow")
        cells = [
            row["model"],
            f"{row['metric']} {row['value']:.4g}",
            f"{row['low']:.3g} to {row['high']:.3g}",
        ]
        tables.add(drawn, *cells, str(row["version"]), row["verdict"], styles=["", "", "", "", style])
    console = tables.console()
    console.print(drawn)
    console.print("Pictures:", *(row["pictures"] for row in table), sep="\n  ", highlight=False)
    console.print(f"All on one page: {layout.REPORT}", highlight=False)
    told = {
        "refused": "was refused",
        "rejected": "was rejected",
        "pending": "waits",
        "lapsed": "waits no more",
    }
    for row in table:
        if row["verdict"] in told:
            stays = (
                f"champion stays version {row['champion']}" if row["champion"] else "it has no champion yet"
            )
            style = "red" if row["verdict"] in ("refused", "rejected") else "yellow"
            console.print(f"{row['model']} {told[row['verdict']]}; {stays}:", style=style, highlight=False)
            for reason in row["reasons"]:
                console.print(f"  {reason}", markup=False, highlight=False)


def _primary(name: str) -> dict[str, Any]:
    measured = json.loads((layout.evaluated(name) / "metrics.json").read_text())
    metric = measured["metrics"][measured["primary"]]
    return {"metric": measured["primary"], **{key: metric[key] for key in ("value", "low", "high")}}
