"""How tests are dealt out to processes: what is made once stays in one, and the longest work comes first."""

from __future__ import annotations

import pytest

import data.telemetry  # noqa: F401 -- tests import ONNX Runtime and other tools themselves: it is off before

MADE_ONCE = ("measured_project", "staged_projects")
"""Fixtures that cost much more than the tests that use them: the files that do are one piece of work."""
LONGEST = (
    "tests/test_pipeline.py",
    "measured_project",
    "staged_projects",
    "tests/components/serving/page/test_page.py",
    "tests/flows/test_scheduled_retraining.py",
    "tests/components/test_judge.py",
    "tests/components/promotion/test_deleted_versions.py",
)
"""Pieces of work that take minutes. One of them begun last would leave the other processors idle."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's piece of work, which pytest-xdist gives to one process, and put the long ones in front."""
    by_file: dict[str, list[pytest.Item]] = {}
    for item in items:
        by_file.setdefault(item.nodeid.partition("::")[0], []).append(item)
    ranks = {}
    for file, tests in by_file.items():
        used = {name for item in tests for name in getattr(item, "fixturenames", ())}
        piece = next((name for name in MADE_ONCE if name in used), file)
        for item in tests:
            ranks[item] = LONGEST.index(piece) if piece in LONGEST else len(LONGEST)
            item.add_marker(pytest.mark.xdist_group(_family_of(item) or piece))
    items.sort(key=ranks.__getitem__)


def _family_of(item: pytest.Item) -> str | None:
    """Return the family of a contract's test: all tests of a family share one training, and no other's."""
    if not item.nodeid.startswith("tests/models/test_contract.py"):
        return None
    return item.callspec.params["family"] if hasattr(item, "callspec") else None
