"""What is used of Great Expectations, imported without a look for garbage meanwhile.

Its import makes some hundred thousand objects, and all of them stay: to look for garbage among them again and again
took a fifth of the time.
"""

from __future__ import annotations

import gc

gc.disable()
try:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )
    from pydantic.v1 import ValidationError
finally:
    gc.freeze()
    gc.enable()

__all__ = [
    "ProgressBarsConfig",
    "ValidationError",
    "get_expectation_impl",
    "gx",
    "list_registered_expectation_implementations",
]
