"""The server's document is true: it names every route, and nothing that it allows or forbids makes the server fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from components.serving import application
from components.serving.routes import openapi
from components.serving.service import Service
from components.serving.settings import Settings
from tests.components.serving.conftest import KINDS

PAGE = {("GET", "/"), ("GET", "/page/{file}")}
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_paths_are_the_routes():
    routes = [route for module in application.ROUTES for route in module.routes(Service(Settings()))]
    described = {
        (method.upper(), path)
        for path, item in openapi.document()["paths"].items()
        for method in item
        if method in ("get", "post", "delete")
    }
    assert described == {(route.method, route.pattern) for route in routes} - PAGE


def test_it_is_served_as_it_is_kept(served):
    client = served.client()
    assert client.get("/openapi.json") == openapi.document()
    client.close()


def test_references_lead_somewhere():
    text = json.dumps(document := openapi.document())
    references = set(re.findall(r'"\$ref": "([^"]+)"', text))
    assert references
    for reference in references:
        assert reference.startswith("#/")
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part)
            assert found, reference


def test_schemathesis_finds_no_failure(served, tmp_path):
    document = openapi.document()
    # Mostly real models: a name made up is 404 wherever it is sent.
    names = document["components"]["parameters"]["model"]["schema"]
    names["enum"] = [*(f"shapes-{kind}" for kind in KINDS), "nobody"]
    document["components"]["parameters"]["version"]["schema"]["enum"] = ["1", "2"]
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    command = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        file,
        "--seed",
        "1",
        "--max-examples",
        "8",
    ]
    command += [
        "--url",
        f"http://127.0.0.1:{served.port}",
        "--checks",
        CHECKS,
        "--phases",
        "coverage,fuzzing",
    ]
    # Loading and unloading change what is served; test_loading has them.
    command += ["--exclude-tag", "repository", "--no-color", "--generation-database", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert (found := re.search(r"(\d+) generated, (\d+) passed", done.stdout)), done.stdout
    assert int(found[1]) == int(found[2]) > 100
