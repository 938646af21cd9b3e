"""The ledger keeps each entry once and tells who was champion."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from components.registry import ledger
from components.registry.ledger import Entry

DECISION = Entry(
    "decision", "m", 2, "a" * 64, 1, "refused", ("accuracy: too low", "service: too slow"), "gate"
)


def test_an_entry_comes_back_as_it_was_recorded(project):
    recorded = ledger.record(DECISION, "key", {"number": 0.5})
    assert replace(recorded, at="") == DECISION
    assert recorded.at.endswith("+00:00")
    assert ledger.evidence(recorded) == {"number": 0.5}
    assert ledger.history("m") == ledger.history() == [recorded]
    assert ledger.history("other") == []


def test_one_key_is_recorded_once(project):
    first = ledger.record(DECISION, "key", {"first": True})
    again = ledger.record(replace(DECISION, verdict="promoted"), "key", {})
    assert again.id == first.id
    assert (again.verdict, ledger.evidence(again)) == ("refused", {"first": True})


def test_long_reasons_are_cut_in_the_table_and_whole_in_the_evidence(sqlite_project):
    reasons = tuple(f"class {k}: " + "x" * 100 for k in range(200))
    entry = ledger.record(replace(DECISION, reasons=reasons), "key", {"reasons": list(reasons)})
    assert entry.reasons[:10] == reasons[:10]
    assert ledger.evidence(entry)["reasons"] == list(reasons)


@given(st.lists(st.one_of(st.integers(1, 5), st.just("rollback")), max_size=20))
def test_served_is_the_stack_of_champions(moves):
    stack: list[int] = []
    entries = []
    for move in moves:
        before = stack[-1] if stack else None
        if move == "rollback":
            if len(stack) < 2:
                continue
            stack.pop()
            entries.append(Entry("rollback", "m", stack[-1], "", before))
        elif move != before:
            stack.append(move)
            entries.append(Entry("promotion", "m", move, "", before))
        entries.append(DECISION)  # decisions move nothing
    assert [version for version, _ in ledger.served(entries)] == stack
