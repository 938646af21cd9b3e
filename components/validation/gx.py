"""What is used of Great Expectations, imported without what nothing here asks it for.

Its import loads clients of clouds and of databases where they are installed, for the tables that lie there, and scipy's
statistics and Altair for one expectation of all (``expect_column_kl_divergence_to_be_less_than``): together half of
the time and a third of the memory. So the first are as if they were not installed meanwhile, and the last are loaded
when something of them is used. No garbage is looked for meanwhile, since all the objects stay.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_ELSEWHERE = ("azure", "boto3", "botocore", "google", "pyspark", "sqlalchemy")
"""Where tables may lie that are none of pandas."""

_SELDOM = ("altair", "scipy.stats")


class _Later(ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # what the import itself asks for
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def _spared() -> Iterator[None]:
    """Import for the block none of :data:`_ELSEWHERE`, and those of :data:`_SELDOM` when they are used."""
    hidden = dict.fromkeys(name for name in _ELSEWHERE if name not in sys.modules)
    later = {name: _Later(name) for name in _SELDOM if name not in sys.modules}
    sys.modules.update(hidden | later)
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()


with _spared():
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.execution_engine import pandas_execution_engine
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )
    from pydantic.v1 import ValidationError

# A table is hashed to tell batches apart, and there is but one: of many rows that takes more than all expectations.
pandas_execution_engine.hash_pandas_dataframe = lambda table: "not taken"

__all__ = [
    "ProgressBarsConfig",
    "ValidationError",
    "get_expectation_impl",
    "gx",
    "list_registered_expectation_implementations",
]
