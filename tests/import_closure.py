"""Which of the project's files a module runs, read from the source: imports anywhere in it, also inside functions."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGES = ("flows", "components", "models", "data")


def closure(module: str, root: Path = Path()) -> set[Path]:
    """Return the files that ``module`` imports from the project, directly or not, and its own.

    Packages whose ``__init__`` holds only a docstring are left out: nothing in them can make a result stale.
    Imports for type checkers only count too: leaving them out would make this test cleverer than it is worth.
    """
    found: set[Path] = set()
    waiting = [_file(module, root)]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        waiting += [imported for imported in _imports(file, root) if imported not in found]
    return {file.relative_to(root) if root.parts else file for file in found if _has_code(file)}


@cache
def _imports(file: Path, root: Path) -> tuple[Path, ...]:
    files: list[Path] = []
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports are not used in this project"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] in PACKAGES:
                prefixes = [".".join(parts[: count + 1]) for count in range(len(parts))]
                files += [path for path in (_file(prefix, root) for prefix in prefixes) if path is not None]
    return tuple(files)


def _file(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _has_code(file: Path) -> bool:
    body = ast.parse(file.read_text()).body
    return not (len(body) == 0 or (len(body) == 1 and isinstance(body[0], ast.Expr)))
