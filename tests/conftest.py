"""How tests are dealt out to processes: what is made once stays in one, and the longest work comes first.

``--dist loadgroup`` would be for this, but pytest 9.2 ignores the names of groups that pytest-xdist 3.8 gives: every
test went its own way, and each process made everything. So the pieces of work are told to the scheduler itself.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

import data.telemetry  # noqa: F401 -- tests import ONNX Runtime and other tools themselves: it is off before
from models.registry import FAMILIES

ROOT = Path(__file__).parent.parent
if "PYTEST_XDIST_WORKER" in os.environ:
    # As many tests run at once as there are processors: libraries that start a thread for each would only wait.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell's background job ignores it, and so would every process that is to be interrupted by a test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Each of the hundreds of processes that tests start would compile the project's code anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
MADE_ONCE = {
    "measured_project": {"measured_project", "measured"},
    "staged_projects": {"staged_projects", "staged"},
    "prefect_server": {"pipeline", "prefect", "prefect_database"},
}
"""Fixtures that cost much more than the tests that use them, by any of these names: their files are one piece."""
LONGEST = (
    "tests/test_pipeline.py",
    "measured_project",
    "staged_projects",
    "prefect_server",
    "tests/components/serving/page/test_page.py",
    "tests/components/test_judge.py",
    "tests/components/promotion/test_deleted_versions.py",
)
"""Pieces of work that take minutes. One of them begun last would leave the other processors idle."""


class Pieces(LoadScopeScheduling):
    """Gives each piece of work to one process, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return piece_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Pieces | None:
    """Deal out pieces where tests are dealt out by scope."""
    return Pieces(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Do not look for garbage among two million objects that stay, while they are loaded and ever after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long pieces in front."""
    ranks = {piece: rank for rank, piece in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(piece_of(item.nodeid), len(LONGEST)))


def piece_of(nodeid: str) -> str:
    """Return the piece of work that a test belongs to: its file, what its file shares with others, or its family.

    All tests of the contract about a family share one training, and no other's.
    """
    file, _, rest = nodeid.partition("::")
    if file == "tests/models/test_contract.py":
        parameters = rest.partition("[")[2].rstrip("]").split("-")
        return next((f"{file} {family}" for family in parameters if family in FAMILIES), file)
    return _of_file(file)


@cache
def _of_file(file: str) -> str:
    text = (ROOT / file).read_text()
    return next((piece for piece, using in _USING.items() if using.search(text)), file)


_USING = {
    piece: re.compile(rf"\bdef \w+\([^)]*\b(?:{'|'.join(sorted(names))})\b")
    for piece, names in MADE_ONCE.items()
}
"""What a file looks like in which a function has such an argument; to parse all files takes seconds in each process."""
