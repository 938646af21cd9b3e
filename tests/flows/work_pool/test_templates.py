"""The job templates of ``deploy/pools``: what Prefect's server takes, and what its workers would start."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.flows import prefect_record

ROOT = Path(__file__).parents[3]
KNOWN = json.loads(
    # Found without an import, which would read Prefect's settings.
    Path(importlib.util.find_spec("prefect").origin)
    .with_name("server")
    .joinpath("api/collections_data/views/aggregate-worker-metadata.json")
    .read_text()
)
IMAGE = re.search(r"-t (\S+)", (ROOT / "deploy/Containerfile.trainer").read_text())[1]


def template(kind: str) -> dict[str, Any]:
    return json.loads((ROOT / f"deploy/pools/{kind}.json").read_text())


def started(kind: str) -> dict[str, Any]:
    """Return what a worker makes of the template for a run that ``darkroom run --pool`` sends."""
    from prefect.utilities.templating import apply_values

    from flows.work_pool.deployments import ENVIRONMENT

    properties = template(kind)["variables"]["properties"]
    values = {name: one["default"] for name, one in properties.items() if "default" in one}
    values["env"] = values.get("env", {}) | ENVIRONMENT
    values |= {"command": "prefect flow-run execute", "name": "a-run", "labels": {}}
    return apply_values(template(kind)["job_configuration"], values)


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_the_server_takes_it(kind, prefect_server):
    prefect_record.make_pool(prefect_server["PREFECT_API_URL"], f"a-{kind}", kind, template(kind))
    made = prefect_record.pool(prefect_server["PREFECT_API_URL"], f"a-{kind}")
    assert made["base_job_template"]["variables"]["properties"]["image"]["default"] == IMAGE


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_it_has_all_that_the_worker_s_own_template_has(kind):
    ours, theirs = template(kind), KNOWN[f"prefect-{kind}"][kind]["default_base_job_configuration"]
    # The worker asks for all of it, also for what a cluster has no use for at that place.
    assert _paths(theirs["job_configuration"]) <= _paths(ours["job_configuration"])
    assert theirs["variables"]["properties"].keys() <= ours["variables"]["properties"].keys()


def _paths(value: Any, at: str = "") -> set[str]:
    """Return the path of each value below ``value``."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {at}.union(*(_paths(one, f"{at}/{key}") for key, one in below))


def test_a_docker_run_has_the_project():
    configuration = started("docker")
    assert configuration["image"] == IMAGE
    assert [volume.rpartition(":")[2] for volume in configuration["volumes"]] == ["/project"]
    assert configuration["env"]["PREFECT_LOGGING_TO_API_ENABLED"] == "true"


def test_a_pod_has_the_project_and_a_gpu_and_may_do_little():
    pod = started("kubernetes")["job_manifest"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["image"], container["args"]) == (IMAGE, "prefect flow-run execute")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/project", "/dev/shm"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "darkroom-project"
    assert pod["securityContext"]["runAsUser"] == 10001 and pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
