"""What a module lacks of the constants and functions that a protocol of modules names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType


def missing(module: ModuleType, protocol: type) -> list[str]:
    """Return the constants that are not there, and the functions that are not or take other parameters."""
    constants = [name for name in protocol.__annotations__ if not hasattr(module, name)]
    wanted = {name: verb for name, verb in vars(protocol).items() if not name.startswith("_")}
    return constants + [
        name
        for name, verb in wanted.items()
        if not hasattr(module, name) or _parameters(getattr(module, name)) != _parameters(verb)[1:]
    ]


def _parameters(function: Callable) -> list[str]:
    return list(inspect.signature(function).parameters)
