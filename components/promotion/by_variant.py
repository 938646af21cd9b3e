"""The check of variants: how fast each is here, on the machine of the gate.

Whether a variant answers as well as FP32 was decided at export, and the bundle's hash covers it. A version whose
variant was refused then, or is no faster here, is as good as one without: people read here which precision to serve.
Only what answers otherwise here than at export speaks against the version: a server that is told to serve it would
refuse it, too.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from components.bundles.bundle import FP32, Bundle, precisions
from components.promotion import comparison
from components.promotion.checks import Check
from components.variants import speed
from data.errors import UserError
from data.prepared import PreparedData

BATCH = 8
"""Images of a request, as a busy server gathers them."""


def check(bundle: Bundle, present: PreparedData) -> Check | None:
    """Return what was found of the variants; None of a bundle that was asked for none."""
    asked = bundle.description.get("variants", {})
    if not asked:
        return None
    processor = speed.processor()
    told = [
        f"{name}: refused at export: {of['tries'][-1]['against'][0]}"
        for name, of in asked.items()
        if not of["accepted"]
    ]
    evidence: dict[str, Any] = {"processor": processor, "speed": {}}
    inputs = comparison.task_of(bundle).inputs(present, "test", 0, BATCH)
    wrong = []
    for name in precisions(bundle.description):
        if name == FP32:
            continue
        try:
            variant = Bundle.open(bundle.folder, precision=name)
            variant.check_golden()
        except UserError as error:
            wrong.append(f"{name}: {error}")
            continue
        found = speed.in_turns(variant.predict, bundle.predict, inputs)
        evidence["speed"][name] = asdict(found) | {"is_faster": found.is_faster}
        told.append(f"{name}: {_words(found)}, on {processor['name']} ({' '.join(processor['flags'])})")
    return Check("variants", tuple(told), tuple(wrong), evidence)


def _words(found: speed.Speed) -> str:
    word = "faster" if found.is_faster else "not shown to be faster"
    return f"{word} here: {found.ratio:.2f} times FP32's images a second [{found.low:.2f}, {found.high:.2f}]"
