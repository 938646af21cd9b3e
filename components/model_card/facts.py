"""What is on record of a version: all that its card may say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx

from components.bundles.bundle import MODEL
from components.registry import ledger, making, recipe, recorded, versions
from components.registry.ledger import Entry
from components.registry.making import Making
from components.registry.recipe import Recipe
from components.registry.versions import Version

TAG = "card."
"""What people say of a version: tags of it in MLflow whose names begin so."""


@dataclass(frozen=True)
class Facts:
    """What is on record of a version; what is not is None or empty.

    Attributes:
        version: the version, with its tags.
        aliases: those of the registry that point to it.
        earlier: the numbers of the model's earlier versions.
        bundle: ``bundle.json``.
        graph: of the ONNX file ``ir_version``, ``opsets`` by their domain, ``producer``, and ``bytes`` of its size.
        golden: number of golden examples.
        settings: its entry of ``params.yaml``, as parameters of its run, by their flat names.
        measured: ``metrics.json``.
        validation: the verdict of the data's validation.
        recipe: the settings that this came to, and the sizes of the splits.
        making: how it was trained, and where its data come from.
        history: entries of the ledger about this bundle, and moves that put another in its place, oldest first.
        checks: what each check of the gate found when it last decided on this bundle.
    """

    version: Version
    aliases: tuple[str, ...]
    earlier: tuple[int, ...]
    bundle: dict[str, Any]
    graph: dict[str, Any]
    golden: int
    settings: dict[str, str]
    measured: dict[str, Any] | None
    validation: dict[str, Any] | None
    recipe: Recipe
    making: Making
    history: tuple[Entry, ...]
    checks: dict[str, dict[str, Any]]

    def said(self, key: str) -> str:
        """Return what people said under ``key``, the rest of a tag's name; "" where they said nothing."""
        return self.version.tags.get(f"{TAG}{key}", "").strip()


def read(version: Version) -> Facts:
    """Gather what is on record of ``version``; its bundle is verified.

    Raises:
        UserError: it was not registered by Darkroom, or its bundle or its run is out of reach.
    """
    bundle = versions.fetch(version)
    model = versions.model(version.name)
    history = tuple(
        entry
        for entry in ledger.history(version.name)
        if version.bundle_sha256 in (entry.bundle_sha256, entry.champion_sha256 if entry.is_move else "")
    )
    decisions = ledger.decisions(history, version.bundle_sha256)
    evidence = ledger.evidence(decisions[-1]) if decisions else {}
    inputs, _ = bundle.golden()
    return Facts(
        version=version,
        aliases=tuple(sorted(alias for alias, number in model.aliases.items() if number == version.number)),
        earlier=tuple(one.number for one in model.versions if one.number < version.number),
        bundle=bundle.description,
        graph=_graph((bundle.folder / MODEL).read_bytes()),
        golden=len(next(iter(inputs.values()))),
        settings=dict(sorted(recorded.settings(version).items())),
        measured=recorded.read_json(version, "evaluate/metrics.json"),
        validation=recorded.read_json(version, "data/validation.json"),
        recipe=recipe.of(version),
        making=making.of(version),
        history=history,
        # Older decisions call them blessings.
        checks=evidence.get("checks", evidence.get("blessings", {})),
    )


def _graph(content: bytes) -> dict[str, Any]:
    model = onnx.load_model_from_string(content)
    return {
        "ir_version": model.ir_version,
        "opsets": {opset.domain or "ai.onnx": opset.version for opset in model.opset_import},
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "bytes": len(content),
    }
