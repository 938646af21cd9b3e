"""Real servers that a DVC remote can lie on, each started on the loopback by a test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import needs

KEY, SECRET = "a-key", "a-secret"
IDENTITIES = (
    f'{{"identities": [{{"name": "team", "credentials": [{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}], '
    '"actions": ["Admin", "Read", "Write", "List"]}]}'
)
DVC, WEED = (Path(sys.executable).with_name(name) for name in ("dvc", "weed"))


class Remote(NamedTuple):
    """A server's place for remotes.

    Attributes:
        url: what the remote's own folder is added to.
        settings: of the DVC remote.
        environment: variables of whoever may use it.
        spoil: make the credentials of the project in the present folder wrong.
        refusal: pattern of what the server's answer to that must say.
    """

    url: str
    settings: dict[str, str]
    environment: dict[str, str]
    spoil: Callable[[pytest.MonkeyPatch], None]
    refusal: str


def set_remote(**settings: str) -> None:
    """Change settings of the default remote of the project in the present folder."""
    for key, value in settings.items():
        subprocess.run([DVC, "remote", "modify", "local", key, value], check=True, capture_output=True)


@contextmanager
def s3(folder: Path) -> Iterator[Remote]:
    """Run a SeaweedFS that serves S3, checks signatures, and holds the bucket ``team``."""
    needs.only_where(WEED.exists(), "SeaweedFS is installed on x86-64 Linux only")
    (folder / "identities.json").write_text(IDENTITIES)
    kinds = ["master", "volume", "filer", "s3"]
    ports = dict(zip([*kinds, *(f"{kind} grpc" for kind in kinds)], _free_ports(8), strict=True))
    options = [
        f"-{name.replace(' ', '.port.') if ' ' in name else f'{name}.port'}={port}"
        for name, port in ports.items()
    ]
    command = [WEED, "server", f"-dir={folder}", "-ip=127.0.0.1", "-filer", "-s3", *options]
    command += [
        f"-s3.config={folder / 'identities.json'}",
        "-master.telemetry=false",
        "-volume.max=30",  # its own journal takes seven, a minute after the start
        "-s3.port.iceberg=0",  # which is of no use here, and of which a machine can have one only
        "-s3.port.lance=0",
    ]
    address = f"http://127.0.0.1:{ports['s3']}"
    with _running(command, folder / "log"):
        _wait(lambda: _make_bucket(address), folder / "log")
        yield Remote(
            "s3://team",
            {"endpointurl": address},
            {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
            lambda monkeypatch: monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another"),
            "Forbidden|denied|signature",
        )


@contextmanager
def ssh(folder: Path) -> Iterator[Remote]:
    """Run an OpenSSH server of the user who runs the tests, with keys made for it; only one of two may come in."""
    daemon = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if daemon is None:
        needs.missing("sshd: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd asks for it of root only
    for name in ("host", "key", "stranger"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(make, check=True, capture_output=True)
    (folder / "authorized").write_text((folder / "key.pub").read_text())
    (port,) = _free_ports(1)
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized",
        "PidFile": "none",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "StrictModes": "no",  # a temporary folder may be anybody's
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    remotes = folder / "remotes"
    remotes.mkdir()
    with _running([daemon, "-D", "-e", "-f", folder / "sshd_config"], folder / "log"):
        _wait(lambda: socket.create_connection(("127.0.0.1", port)).close(), folder / "log")
        yield Remote(
            f"ssh://127.0.0.1{remotes}",
            {"port": str(port), "user": getpass.getuser(), "keyfile": str(folder / "key")},
            {"SSH_AUTH_SOCK": ""},
            lambda _: set_remote(keyfile=str(folder / "stranger")),
            "[Pp]ermission denied|authenticat",
        )


@contextmanager
def _running(command: list, log: Path) -> Iterator[None]:
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        server.kill()
        server.wait()


def _wait(attempt: Callable[[], object], log: Path) -> None:
    for _ in range(120):
        try:
            attempt()
            return
        except Exception:  # it is starting: refused, then unavailable
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _make_bucket(address: str) -> None:
    import botocore.session

    client = botocore.session.get_session().create_client(
        "s3", "us-east-1", endpoint_url=address, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    client.create_bucket(Bucket="team")
