"""The server that pipelines ask."""

from tests.components.serving.conftest import served  # noqa: F401 -- a fixture that both need
