"""One server with a bundle of each task, for tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.components.serving import bundles
from tests.components.serving.server import Server

KINDS = ("classification", "density", "generation", "conditional", "translation", "reenactment")


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Server]:
    """A worker that serves ``shapes-<kind>`` for each of :data:`KINDS`; its folder holds the bundles."""
    folder = tmp_path_factory.mktemp("served")
    for kind in KINDS:
        bundles.write(folder / f"shapes-{kind}", kind, name=f"shapes-{kind}", data="d" * 64)
    named = {f"shapes-{kind}": str(folder / f"shapes-{kind}") for kind in KINDS}
    with Server(folder, worker={"bundles": named}) as server:
        server.folder = folder
        yield server
