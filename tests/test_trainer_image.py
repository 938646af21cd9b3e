"""What ``deploy/`` has for runs and schedules: an image of what they need, and units for those without containers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from data import telemetry
from flows.cli import app
from tests import needs

DEPLOY = Path(__file__).parent.parent / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile.trainer").read_text().replace("\\\n", " ")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FOLDER = "/srv/darkroom/project/.venv/bin/"


def instruction(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", CONTAINERFILE, re.MULTILINE)


def started(unit: Path) -> list[str]:
    """Return the command of a unit."""
    (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
    return line.split()


def parse(command: list[str]) -> dict[str, object]:
    """Parse a command line of ``darkroom`` as the command itself does."""
    known = typer.main.get_command(app.whole()).commands[command[0]]
    return known.make_context(command[0], list(command[1:])).params


def test_the_image_starts_a_command_of_darkroom():
    *python, name = json.loads(instruction("CMD")[0])
    assert python == ["python", "-m", "flows"]
    assert parse([name])["pool"] is None
    assert not instruction("ENTRYPOINT")


def test_the_image_finds_the_project_and_reports_nothing_home():
    in_image = dict(re.findall(r"(\w+)=(\S+)", " ".join(instruction("ENV"))))
    assert telemetry.OFF.items() <= in_image.items()
    assert [in_image["PYTHONPATH"]] == instruction("WORKDIR")  # where Prefect's own command would not look


def test_the_image_is_that_of_the_server_but_for_what_it_holds():
    server = (DEPLOY / "Containerfile").read_text()
    for line in re.findall(r"^(?:FROM|USER) .+$", CONTAINERFILE, re.MULTILINE):
        assert line in server.splitlines()
    assert instruction("COPY") == ["requirements.lock ./"]
    assert "!requirements.lock" in (DEPLOY / "Containerfile.trainer.dockerignore").read_text().splitlines()
    assert instruction("WORKDIR") == instruction("VOLUME") == ["/project"]


def test_the_units_start_commands_that_there_are():
    commands = {unit.stem: started(unit) for unit in UNITS}
    program, name = commands["darkroom-schedule"]
    assert program == f"{FOLDER}darkroom" and parse([name])["pool"] is None
    program, *rest = commands["darkroom-worker"]
    assert (program, rest[0]) == (f"{FOLDER}prefect", "worker")
    from prefect.cli.worker import worker_app

    _, bound, _ = worker_app.parse_args(rest[1:], exit_on_error=False, print_error=False)
    assert bound.arguments == {"work_pool_name": "gpu", "worker_type": "process", "limit": 1}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_the_unit(unit, tmp_path):
    here = f"{Path(sys.executable).parent}/"
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(FOLDER, here))
    verify = needs.installed("systemd-analyze", package="systemd")
    done = subprocess.run([verify, "verify", copy], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
