"""How things learn: one folder per family, shared parts in ``blocks``.

A family is found by its folder's name, so that no stage depends on a list of all families and adding one makes
nothing else stale. ``models.registry`` lists them for people and for the tests.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from data.errors import UserError, nearest


def family(name: str) -> ModuleType:
    """Import the family ``name``; ``docs/reference/families.md`` says what it exports.

    Raises:
        UserError: ``models/`` has no such folder.
    """
    if name not in families():
        raise UserError(f"models/{name}: no family {name!r}.{nearest(name, families())}")
    return importlib.import_module(f"models.{name}")


def families() -> list[str]:
    """Return the names of the family folders."""
    folders = (init.parent.name for init in Path(__file__).parent.glob("*/__init__.py"))
    return sorted(name for name in folders if name != "blocks")
