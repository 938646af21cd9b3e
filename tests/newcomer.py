"""An account that is new on the machine, and where its Python processes connect to.

A ``sitecustomize`` module on the ``PYTHONPATH`` watches every Python process of the account, those that others start
included.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from data import telemetry

_WATCH = """
import sys

def _watch(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            with open({log!r}, "a") as log:
                print(sys.argv, address, file=log)

sys.addaudithook(_watch)
"""

_CI = (
    "APPVEYOR",
    "BUILDKITE",
    "CI",
    "CIRCLECI",
    "CODEBUILD_BUILD_ID",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "TRAVIS",
)
"""By these ONNX Runtime 1.31 knows a build server, where it keeps no store: a person's account has none of them."""

NAMED = (".darkroom/dvc-remote", ".cache/matplotlib")
"""What README.md says that Darkroom writes below the home folder."""


class Newcomer:
    """A home folder and the environment of who works in it.

    Attributes:
        environment: the variables; none of them speaks of telemetry or of a build server.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Make the account in ``folder``, with all other variables from ``environment``."""
        self._home, watch, self._log = folder / "home", folder / "watch", folder / "connections"
        self._home.mkdir(parents=True)
        watch.mkdir()
        (watch / "sitecustomize.py").write_text(_WATCH.format(log=str(self._log)))
        kept = {
            name: value
            for name, value in environment.items()
            if name not in (*telemetry.OFF, *_CI) and not name.startswith("XDG_")
        }
        self.environment = {**kept, "HOME": str(self._home), "PYTHONPATH": str(watch)}

    def written(self) -> set[str]:
        """Return the files below the home folder, but for those that are :data:`NAMED`."""
        files = {
            file.relative_to(self._home).as_posix() for file in self._home.rglob("*") if not file.is_dir()
        }
        return {file for file in files if not file.startswith(NAMED)}

    def connections(self) -> list[str]:
        """Return which process connected to which address outside this machine."""
        return self._log.read_text().splitlines() if self._log.exists() else []
