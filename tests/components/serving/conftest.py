"""One server with a bundle of each signature for all tests that only ask; registries for those that follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.registry import versions
from tests.components.serving import bundles
from tests.components.serving.server import Client, Server
from tests.components.serving.shop import add

KINDS = tuple(kind for kind in bundles.SIGNATURES if kind != "slow")


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory) -> Iterator[Server]:
    """A server of fixed bundles, one of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    with Server(folder, worker={"bundles": bundles.write_all(folder), "max_body": 1 << 20}) as server:
        yield server


@pytest.fixture
def client(every_kind) -> Iterator[Client]:
    client = every_kind.client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Server]:
    """A server of ``shapes-<kind>`` for each of :data:`KINDS`, for the plain endpoints; ``folder`` has the bundles."""
    folder = tmp_path_factory.mktemp("served")
    for kind in KINDS:
        bundles.write(folder / f"shapes-{kind}", kind, name=f"shapes-{kind}", data="d" * 64)
    named = {f"shapes-{kind}": str(folder / f"shapes-{kind}") for kind in KINDS}
    with Server(folder, worker={"bundles": named}) as server:
        server.folder = folder
        yield server


@pytest.fixture(scope="session")
def both(tmp_path_factory) -> Iterator[Server]:
    """A server of fixed bundles, one of each kind, over REST and gRPC."""
    folder = tmp_path_factory.mktemp("both")
    settings = {
        "bundles": bundles.write_all(folder),
        "grpc_port": 0,
        "max_body": 1 << 20,
        "request_s": 2.0,
        "default": {"max_wait_ms": 20000},
    }
    with Server(folder, worker=settings) as server:
        yield server


@pytest.fixture
def caller(both):
    from tests.components.serving.grpc.client import Caller  # its package is an extra

    with Caller(both.address["grpc_port"]) as caller:
        yield caller


@pytest.fixture
def shop(sqlite_project) -> Path:
    """A project whose model ``m`` has two registered versions, the first of which is champion."""
    (sqlite_project / "dvc.yaml").touch()
    for seed in (0, 1):
        add(seed)
    versions.point("m", "champion", 1)
    return sqlite_project
