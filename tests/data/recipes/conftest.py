from __future__ import annotations

import pytest

from data.prepared import PreparedData
from tests.models import tiny


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> PreparedData:
    """240 real digits to train on, 80 to validate, 80 to test: what the recipes draw from."""
    return tiny.prepare(tmp_path_factory.mktemp("digits"))
