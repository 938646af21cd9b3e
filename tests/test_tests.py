"""What every test keeps to: it asserts something, and no test is left out but by ``tests/needs.py``."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

TESTS = Path(__file__).parent
ASSERTING = {"mends", "refuse", "refuses"}
"""Helpers that assert for the test that calls them: ``pytest.raises`` and what is said, or that it mends."""
SKIPPING = {"skip", "skipif", "importorskip", "xfail"}


def test_every_test_asserts_something():
    idle = [
        f"{file.relative_to(TESTS)}:{test.lineno} {test.name}"
        for file, nodes in _nodes()
        if file.name.startswith("test_")
        for test in nodes
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_") and not _asserts(test)
    ]
    assert not idle


def test_helpers_that_assert_do():
    found: dict[str, list[bool]] = {name: [] for name in ASSERTING}
    for _, nodes in _nodes():
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and node.name in ASSERTING:
                found[node.name].append(_asserts(node))
    assert all(helpers and all(helpers) for helpers in found.values()), found


def test_no_test_is_left_out_on_the_quiet():
    found = [
        f"{file.relative_to(TESTS)}:{node.lineno}"
        for file, nodes in _nodes()
        if file.name != "needs.py"
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr in SKIPPING and _is_pytest(node.value)
    ]
    assert not found, "say in tests/needs.py what the machine lacks, or parametrise over what applies"


@functools.cache
def _nodes() -> list[tuple[Path, list[ast.AST]]]:
    """Return the nodes of each file of the tests, parsed once."""
    return [(file, list(ast.walk(ast.parse(file.read_text())))) for file in TESTS.rglob("*.py")]


def _asserts(function: ast.FunctionDef) -> bool:
    """Whether it has an ``assert``, expects an error, or calls what asserts."""
    called = {_name(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
    return (
        any(isinstance(node, ast.Assert) for node in ast.walk(function))
        or any(name.startswith("assert_") for name in called)
        or bool(called & (ASSERTING | {"raises", "warns", "fail"}))
    )


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_pytest(value: ast.expr) -> bool:
    """Whether it is ``pytest`` or ``pytest.mark``."""
    return ast.unparse(value) in ("pytest", "pytest.mark")
