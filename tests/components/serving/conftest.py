"""One server with a bundle of each signature for all tests that only ask; registries for those that follow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.components.serving import bundles
from tests.components.serving.server import Client, Server


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory) -> Iterator[Server]:
    """A server of fixed bundles, one of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    paths = {}
    for kind in bundles.SIGNATURES:
        bundles.write(folder / kind, kind)
        paths[kind] = str(folder / kind)
    with Server(folder, worker={"bundles": paths, "max_body": 1 << 20}) as server:
        yield server


@pytest.fixture
def client(every_kind) -> Iterator[Client]:
    client = every_kind.client()
    yield client
    client.close()
