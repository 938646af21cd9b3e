"""Pushing to a real S3 server that checks signatures, and getting it all back in a clone."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.errors import UserError
from flows.remote import push
from flows.stage_process import StageProcess

KEY, SECRET = "a-key", "a-secret"
IDENTITIES = (
    f'{{"identities": [{{"name": "team", "credentials": [{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}], '
    '"actions": ["Admin", "Read", "Write", "List"]}]}'
)
DVC, WEED = (Path(sys.executable).with_name(name) for name in ("dvc", "weed"))

pytestmark = pytest.mark.skipif(not WEED.exists(), reason="SeaweedFS is installed on x86-64 Linux only")


@pytest.fixture(scope="module")
def s3(tmp_path_factory) -> str:
    """The address of a SeaweedFS that serves S3 and holds the bucket ``team``."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "identities.json").write_text(IDENTITIES)
    kinds = ["master", "volume", "filer", "s3"]
    ports = dict(zip([*kinds, *(f"{kind} grpc" for kind in kinds)], _free_ports(8), strict=True))
    options = [
        f"-{name.replace(' ', '.port.') if ' ' in name else f'{name}.port'}={port}"
        for name, port in ports.items()
    ]
    command = [
        WEED,
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-filer",
        "-s3",
    ]
    command += [
        f"-s3.config={folder / 'identities.json'}",
        "-master.telemetry=false",
        "-volume.max=5",
        *options,
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{ports['s3']}"
    try:
        _make_bucket(address, folder / "log")
        yield address
    finally:
        server.kill()
        server.wait()


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _make_bucket(address: str, log: Path) -> None:
    import botocore.session

    client = botocore.session.get_session().create_client(
        "s3", "us-east-1", endpoint_url=address, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    for _ in range(120):
        try:
            client.create_bucket(Bucket="team")
            return
        except Exception:  # it is starting: refused, then unavailable
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


@pytest.fixture
def project(toy, s3, monkeypatch) -> Path:
    """A toy project with one stage run, whose remote is a place on the server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    for arguments in (
        ["remote", "add", "--default", "local", f"s3://team/{toy.name}"],
        ["remote", "modify", "local", "endpointurl", s3],
    ):
        subprocess.run([DVC, *arguments], check=True, capture_output=True)
    StageProcess("ingest@digits", Path("log"), {}).run(60)
    return toy


def test_a_clone_gets_back_what_was_pushed(project, tmp_path_factory):
    push(["ingest@digits"], Path("push.log"))
    clone = tmp_path_factory.mktemp("clone")
    shutil.copytree(project, clone, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out", "cache", "tmp"))
    subprocess.run([DVC, "pull", "ingest@digits"], cwd=clone, check=True, capture_output=True)
    assert (clone / "out/ingest-digits").read_text() == (project / "out/ingest-digits").read_text()


def test_a_remote_that_refuses_is_told(project, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(UserError, match=r"the DVC remote took no push: .*(Forbidden|denied|signature)"):
        push(["ingest@digits"], Path("push.log"))
