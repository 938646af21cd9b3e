from __future__ import annotations

import pytest

from data.prepared import PreparedData
from tests.models import tiny


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> PreparedData:
    """240 real digits to train on, 80 to validate, 80 to test."""
    return tiny.prepare(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def digit_edges(tmp_path_factory) -> PreparedData:
    """The same digits, each with its edge map as the image to translate."""
    return tiny.prepare(tmp_path_factory.mktemp("digit_edges"), task="translation")


@pytest.fixture(scope="session")
def faces(tmp_path_factory) -> PreparedData:
    """Drawn faces of 16 x 16 pixels: 12 people to train on, 4 to validate, 4 to test."""
    return tiny.prepare_faces(tmp_path_factory.mktemp("faces"))
