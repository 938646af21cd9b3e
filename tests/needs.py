"""What a test needs of the machine: the one place that may leave a test out, always with the reason."""

from __future__ import annotations

import os
import shutil

import pytest


def installed(*names: str, package: str) -> str:
    """Return the path of the first of these programs that is there; in CI one has to be."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing(f"{names[0]}: apt-get install {package}")
    return found


def missing(what: str) -> None:
    """Leave the test out on a person's machine; in CI, where all that tests need is installed, it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"the tests need {what}")
    pytest.skip(f"no {what}")


def only_where(met: object, reason: str) -> None:
    """Leave out a test, or a module that is being imported, of what this kind of machine does not have."""
    if not met:
        pytest.skip(reason, allow_module_level=True)


def gpu(wanted: bool) -> None:
    """Leave the test out on a machine without a GPU, or, when none is ``wanted``, on one with a GPU."""
    import torch

    only_where(torch.cuda.is_available() == wanted, "no GPU here" if wanted else "there is a GPU")
