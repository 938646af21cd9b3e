"""What ``deploy/`` names is there: commands, options, ports, paths, files, and all packages that the server imports."""

from __future__ import annotations

import ast
import copy
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from components.serving.routes import health
from components.serving.telemetry.counters import Metrics
from data import telemetry
from flows.cli import serve

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DEPLOYMENT, SERVICE, NETWORK, KSERVE, TRITON = (
    yaml.safe_load((DEPLOY / file).read_text())
    for file in (
        "kubernetes/deployment.yaml",
        "kubernetes/service.yaml",
        "kubernetes/network.yaml",
        "kserve/darkroom.yaml",
        "kserve/triton.yaml",
    )
)
RULES = (DEPLOY / "prometheus/rules.yaml").read_text()
POD, PREDICTOR = DEPLOYMENT["spec"]["template"]["spec"], KSERVE["spec"]["predictor"]
CONTAINERS = {"kubernetes": POD["containers"][0], "kserve": PREDICTOR["containers"][0]}
PACKAGES = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "onnxruntime": "onnxruntime-gpu",
    "grpc": "grpcio",
    "google": "protobuf",
}
"""Where a module's package has another name."""
TOLD_IN_IMAGES = ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY")
"""Of all tools, those that an image holds."""
PODS = {"kubernetes": POD, "kserve": PREDICTOR}


def instruction(name: str) -> list[str]:
    return re.findall(rf"^\s*{name} (.+)$", CONTAINERFILE, re.MULTILINE)


def image_command() -> list[str]:
    return json.loads(instruction("CMD")[-1])


def command_lines() -> dict[str, list[str]]:
    return {"image": image_command()} | {name: one["args"] for name, one in CONTAINERS.items()}


def options(arguments: list[str]) -> dict[str, str]:
    """Parse a command line as the command itself does."""
    app = typer.Typer()
    serve.add_to(app)
    command = typer.main.get_command(app).commands[arguments[0]]
    return command.make_context(arguments[0], list(arguments[1:])).params


@pytest.mark.parametrize("where", command_lines())
def test_the_command_line_is_one_of_darkroom_serve(where):
    given = options(command_lines()[where])
    assert (given["host"], given["port"]) == ("0.0.0.0", 8080)
    assert given["tokens"] == "/etc/darkroom/tokens.json"


def test_no_container_reports_home():
    wanted = {name: telemetry.OFF[name] for name in TOLD_IN_IMAGES}
    in_image = dict(re.findall(r"(\w+)=(\S+)", " ".join(instruction("ENV"))))
    assert wanted.items() <= in_image.items()
    for service in COMPOSE["services"].values():
        assert wanted.items() <= service["environment"].items()
    for container in CONTAINERS.values():
        assert wanted.items() <= {one["name"]: one.get("value") for one in container["env"]}.items()


def test_ports_agree():
    assert instruction("EXPOSE") == ["8080"]
    assert "127.0.0.1:8080/v2/health/live" in instruction("HEALTHCHECK")[0]
    assert COMPOSE["services"]["server"]["ports"] == ["127.0.0.1:8080:8080"]
    for container in CONTAINERS.values():
        assert [port["containerPort"] for port in container["ports"]] == [8080]
    named = {port["name"] for port in CONTAINERS["kubernetes"]["ports"]}
    assert SERVICE["spec"]["ports"][0]["targetPort"] in named
    assert NETWORK["spec"]["ingress"][0]["ports"][0]["port"] in named


@pytest.mark.parametrize("where", CONTAINERS)
def test_probes_ask_paths_that_are_open(where):
    open_paths = {route.pattern for route in health.routes(None) if route.access == "open"}
    names = {port["name"]: port["containerPort"] for port in CONTAINERS[where]["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = CONTAINERS[where][probe]["httpGet"]
        assert asked["path"] in open_paths
        assert names.get(asked["port"], asked["port"]) == 8080
    assert CONTAINERS[where]["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


@pytest.mark.parametrize("where", PODS)
def test_a_pod_may_do_little_and_ends_well(where):
    pod, container = PODS[where], CONTAINERS[where]
    uid = pod["securityContext"]["runAsUser"]
    assert pod["securityContext"]["runAsNonRoot"] and instruction("USER") == [str(uid)]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} <= container["resources"].keys()
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounted.keys() == {"/app/.darkroom", "/tmp", "/etc/darkroom"}
    assert set(mounted.values()) == {volume["name"] for volume in pod["volumes"]}
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    grace = options(container["args"])["grace"]
    assert pod["terminationGracePeriodSeconds"] >= pause + grace + 5


def test_the_overlay_adds_grpc():
    """Its patches only append and replace, so that to apply them takes no tool."""
    overlay = yaml.safe_load((DEPLOY / "kubernetes-grpc/kustomization.yaml").read_text())
    assert overlay["resources"] == ["../kubernetes"]
    patched = {one["kind"]: copy.deepcopy(one) for one in (DEPLOYMENT, SERVICE, NETWORK)}
    for patch in overlay["patches"]:
        for change in yaml.safe_load(patch["patch"]):
            *keys, end = change["path"].split("/")[1:]
            place = patched[patch["target"]["kind"]]
            for key in keys:
                place = place[int(key)] if isinstance(place, list) else place[key]
            if change["op"] == "replace":
                assert end in place
                place[end] = change["value"]
            else:
                assert (change["op"], end) == ("add", "-")
                place.append(change["value"])
    container = patched["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert (
        options(container["args"])["grpc_port"]
        == ports["grpc"]
        == container["readinessProbe"]["grpc"]["port"]
    )
    assert options(CONTAINERS["kubernetes"]["args"])["grpc_port"] is None
    assert [port["targetPort"] for port in patched["Service"]["spec"]["ports"]] == ["http", "grpc"]
    assert [one["port"] for one in patched["NetworkPolicy"]["spec"]["ingress"][0]["ports"]] == [
        "http",
        "grpc",
    ]


def test_compose_runs_the_image_that_it_builds():
    server = COMPOSE["services"]["server"]
    assert (
        DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]
    ).resolve() == DEPLOY / "Containerfile"
    assert {one["image"] for one in COMPOSE["services"].values()} == {server["image"]}
    for service in COMPOSE["services"].values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert server["volumes"][1].split(":")[1] == options(image_command())["tokens"]
    # The name by which the server asks is one that MLflow answers to.
    registry = COMPOSE["services"]["registry"]["command"]
    host = server["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert host in registry[registry.index("--allowed-hosts") + 1].split(",")


def test_the_image_holds_what_the_server_imports():
    """Import the server with the files of the image alone; count the packages, as pip would name them."""
    script = (
        "import flows.cli.app, flows.cli.serve, flows.workspace.project, flows.cli.data, flows.cli.registry\n"
    )
    script += "import flows.cli.predict, flows.cli.triton, components.serving.supervisor\n"
    script += (
        "import components.serving.worker, components.serving.application, components.serving.follower\n"
        "import components.serving.grpc.server\n"
    )
    script += (
        "import sys; print([(name, getattr(m, '__file__', None)) for name, m in sorted(sys.modules.items())])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = dict(ast.literal_eval(done.stdout))
    copied = [shlex.split(line)[:-1] for line in instruction("COPY")]
    patterns = [pattern.rstrip("/") for line in copied for pattern in line]
    ours = [
        Path(file).relative_to(ROOT) for file in modules.values() if file and Path(file).is_relative_to(ROOT)
    ]
    ours = [file for file in ours if file.suffix == ".py" and ".venv" not in file.parts]
    assert ours
    for file in ours:
        held = any(file.match(pattern) or file.is_relative_to(pattern) for pattern in patterns)
        assert held, f"{file} is not in the image"
    heavy = {
        "torch",
        "torchvision",
        "prefect",
        "dvc",
        "great_expectations",
        "transformers",
        "sklearn",
        "matplotlib",
    }
    assert not heavy & modules.keys()
    lines = (DEPLOY / "requirements.txt").read_text().splitlines()
    names = {re.sub(r"\[.*\]", "", line) for line in lines if line and not line.startswith("#")}
    imported = {PACKAGES.get(module, module) for file in ours for module in imports(ROOT / file)}
    assert imported & {PACKAGES.get(module, module) for module in modules} <= names
    locked = {re.split(r"[=\[ ]", line)[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert names <= locked


def imports(file: Path) -> set[str]:
    """Return the top-level packages of others that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"flows", "components", "models", "data"}


def test_the_rules_of_prometheus_ask_for_metrics_and_labels_that_the_server_has():
    """``promtool check rules deploy/prometheus/rules.yaml`` says that they are well formed."""
    known = {"up": {"instance", "job"}}
    for metric in Metrics().all():
        names = [metric.name]
        if metric.kind == "histogram":
            names = [f"{metric.name}_{part}" for part in ("bucket", "sum", "count")]
        known |= {name: {*metric.labels, "instance", "job", "le"} for name in names}
    rules = [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 5
    for rule in rules:
        (name,) = set(re.findall(r"\b(?:darkroom_\w+|up)\b", rule["expr"]))
        grouped = re.findall(r"by \(([^)]*)\)", rule["expr"])
        asked = {label.strip() for labels in grouped for label in labels.split(",")}
        asked |= set(re.findall(r'(\w+)="', rule["expr"]))
        shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert asked | shown <= known[name], rule["alert"]
        assert shown <= asked | ({"instance"} if not grouped else set()), rule["alert"]


def test_triton_is_told_to_speak_the_protocol():
    model = TRITON["spec"]["predictor"]["model"]
    assert (model["modelFormat"]["name"], model["protocolVersion"]) == ("triton", "v2")
