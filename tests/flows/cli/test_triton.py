"""``darkroom export-triton``: what it prints."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import typer

from components import register
from components.registry import versions
from flows.cli import triton
from flows.workspace import project
from tests.components import workspace
from tests.components.conftest import sqlite_project, sqlite_template  # noqa: F401 -- fixtures
from tests.flows.cli import command


def test_says_what_was_written(sqlite_project, monkeypatch):  # noqa: F811
    monkeypatch.setattr(project, "CALLED_FROM", sqlite_project)
    workspace.write_params({"m": {"thresholds": {}}})
    sha256 = workspace.export()
    versions.point("m", "champion", register.run("m").version)
    app = typer.Typer()
    app.command()(triton.export_triton)

    call = partial(command.call, app, "repository")

    assert call("m") == "m version 1: written\n"
    assert Path("repository/m/1/model.onnx").is_file()
    assert call() == "m version 1: was there already\n"
    told = {"name": "m", "version": 1, "bundle_sha256": sha256, "written": False}
    assert json.loads(call("--json")) == [told]
