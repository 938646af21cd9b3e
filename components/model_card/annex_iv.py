"""What Annex IV of the EU AI Act (Regulation 2024/1689) asks of technical documentation, and where a card answers it.

The act asks it of high-risk systems alone, and much of it of people: no pipeline can know what a model is meant for.
"""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """A point of the annex.

    Attributes:
        number: as in the annex.
        asks: what for, in short.
        sections: headings of the card that hold what is on record of it.
        said: what people have to say of it, as the rest of a tag's name (:data:`.facts.TAG`).
    """

    number: str
    asks: str
    sections: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


POINTS = (
    Point(
        "1(a)",
        "intended purpose, provider, version and its relation to earlier ones",
        ("Lineage", "Ledger"),
        ("intended_purpose", "provider"),
    ),
    Point(
        "1(b)", "interaction with hardware and software that are not part of it", ("Model",), ("interaction",)
    ),
    Point("1(c)", "versions of software, and what updates require", ("Limits",), ("software",)),
    Point("1(d)", "forms in which it is put into service", ("Lineage",), ("forms",)),
    Point("1(e)", "hardware that it is to run on", ("Gate",), ("hardware",)),
    Point("1(f)", "illustrations of the product that it is a part of", (), ("illustrations",)),
    Point("1(g)", "user interface", (), ("user_interface",)),
    Point("1(h)", "instructions for use", (), ("instructions",)),
    Point("2(a)", "methods and steps of development, with what others trained", ("Model", "Base weights")),
    Point("2(b)", "logic, choices and their reasons, what is optimised", ("Model",), ("design",)),
    Point("2(c)", "architecture and computing resources", ("Model", "Training")),
    Point("2(d)", "data: origin, selection, labelling, cleaning", ("Data",), ("data_origin", "labelling")),
    Point("2(e)", "human oversight", ("Ledger",), ("human_oversight",)),
    Point("2(f)", "changes that are determined beforehand", (), ("predetermined_changes",)),
    Point(
        "2(g)",
        "validation and testing: data, metrics, discriminatory impact, signed reports",
        ("Data", "Metrics", "Slices", "Challenge sets", "Parity", "Gate"),
        ("discrimination", "test_reports"),
    ),
    Point("2(h)", "cybersecurity", (), ("cybersecurity",)),
    Point(
        "3",
        "capabilities, limits, accuracy for groups of persons, foreseeable risks, input data",
        ("Metrics", "Slices", "Challenge sets", "Limits"),
        ("groups", "risks"),
    ),
    Point("4", "why these metrics are appropriate", (), ("metrics",)),
    Point("5", "risk management", (), ("risk_management",)),
    Point("6", "changes through its lifecycle", ("Ledger",), ("changes",)),
    Point("7", "harmonised standards that were applied", (), ("standards",)),
    Point("8", "EU declaration of conformity", (), ("declaration",)),
    Point("9", "monitoring after it was put into service", (), ("monitoring",)),
)
