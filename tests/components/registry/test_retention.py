"""Which versions stay: those in use, those a rollback can go to, the last ones and the young ones."""

from __future__ import annotations

from datetime import UTC, datetime

from components.project.sections import GatePolicy, GcPolicy
from components.registry import retention
from components.registry.ledger import Entry
from components.registry.versions import BUNDLE_TAG, Model, Version

NOW_MS = 100 * retention.DAY_MS
OLD = GcPolicy(keep_versions=2, keep_days=10)


def sha(number: int) -> str:
    return f"{number:064x}"


def model(count: int, aliases: dict[str, int] | None = None, *, ages_days: float = 50) -> Model:
    registered = int(NOW_MS - ages_days * retention.DAY_MS)
    numbers = range(1, count + 1)
    versions = [Version("m", n, f"run-{n}", {BUNDLE_TAG: sha(n)}, registered) for n in numbers]
    return Model("m", tuple(versions), aliases or {})


def move(version: int, before: int | None, kind: str = "promotion") -> Entry:
    return Entry(kind, "m", version, sha(version), before, champion_sha256=sha(before) if before else "")


def kept(found: retention.Retention) -> dict[int, list[str]]:
    return {number: reasons for number, reasons in found.reasons.items() if reasons}


def test_what_is_in_use_and_the_last_versions_stay():
    of = model(9, {"champion": 3, "challenger": 5, "previous": 2, "staging": 1})
    found = retention.of(of, [move(2, None), move(3, 2)], OLD, NOW_MS)
    assert kept(found) == {
        1: ["staging"],
        2: ["previous", "a rollback can go to it"],
        3: ["champion"],
        5: ["challenger"],
        8: ["one of the last 2"],
        9: ["one of the last 2"],
    }
    assert [version.number for version in found.gone(of)] == [4, 6, 7]
    assert found.bundles(of) == {sha(n) for n in (1, 2, 3, 5, 8, 9)}


def test_rollbacks_can_go_to_the_last_champions():
    moves = [move(n, n - 1 or None) for n in range(1, 7)]
    found = retention.of(model(20, {"champion": 6, "previous": 5}), moves, OLD, NOW_MS)
    assert sorted(kept(found)) == [4, 5, 6, 19, 20]


def test_young_versions_stay_and_old_ones_go():
    assert len(kept(retention.of(model(9, ages_days=9), [], OLD, NOW_MS))) == 9
    assert len(kept(retention.of(model(9, ages_days=11), [], OLD, NOW_MS))) == 2


def test_a_champion_on_record_stays_without_its_alias_and_without_its_version():
    found = retention.of(model(9), [move(2, None), move(3, 2)], OLD, NOW_MS)
    assert (sorted(kept(found)), found.champion) == ([2, 3, 8, 9], None)
    of = model(2)
    found = retention.of(of, [move(1, None), move(3, 1)], OLD, NOW_MS)
    assert (found.champion.version, sha(3) in found.bundles(of)) == (3, True)


def test_what_waits_for_approval_stays_until_that_lapses():
    asked = datetime.fromtimestamp(NOW_MS / 1000 - 86_400, UTC).isoformat()
    decision = Entry("decision", "m", 4, sha(4), None, "pending", at=asked, id="a")
    waits = GatePolicy(approval="required", expires="2d")
    found = retention.of(model(9), [decision], OLD, NOW_MS, waits)
    assert kept(found)[4] == ["waits for approval"]
    later = retention.of(model(9), [decision], OLD, NOW_MS + 2 * retention.DAY_MS, waits)
    assert 4 not in kept(later)


def test_what_is_on_trial_stays_until_that_ends():
    """However long it takes: no approval is asked for, and so none lapses."""
    decision = Entry("decision", "m", 4, sha(4), 2, "pending", by="gate", champion_sha256=sha(2), id="a")
    asked = GatePolicy(shadow={"requests": 10})
    entries = [move(2, None), decision]
    assert kept(retention.of(model(9), entries, OLD, NOW_MS, asked))[4] == ["on trial"]
    failed = Entry("trial", "m", 4, sha(4), 2, "failed", by="gate", champion_sha256=sha(2), about="a")
    for ended in (failed, move(3, 2)):  # another champion: the decision is about that one no more
        assert 4 not in kept(retention.of(model(9), [*entries, ended], OLD, NOW_MS, asked))


def test_what_others_registered_stays():
    others = Model("m", (Version("m", 1, "", {}), *model(9).versions[1:]))
    assert kept(retention.of(others, [], OLD, NOW_MS))[1] == ["not registered by Darkroom"]
