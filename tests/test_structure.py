"""What holds the house together: layers, declared dependencies, and names that agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.project.sections import KEPT
from components.tasks import TASKS, VARIANTS
from models.registry import FAMILIES
from tests.import_closure import closure

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
SOURCES = [
    file for package in ("flows", "components", "models", "data") for file in (ROOT / package).rglob("*.py")
]
FORBIDDEN_NAMES = {"utils", "helpers", "misc", "common", "base"}


def test_imports_go_downward_only():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_that_a_stage_runs_is_declared(stage):
    declared = [Path(re.sub(r"\$\{item\.family\}", "*", dep)) for dep in STAGES[stage]["do"]["deps"]]
    ran = _ran_by(stage)
    missing = {str(file) for file in ran if not any(_covers(dep, file) for dep in declared)}
    assert not missing, f"dvc.yaml: {stage} runs files that it does not declare as deps"


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_declares_code_that_it_does_not_run(stage):
    ran = _ran_by(stage)
    code = [dep for dep in STAGES[stage]["do"]["deps"] if not dep.startswith(("artifacts/", "data/${item}"))]
    idle = [dep for dep in code if "${" not in dep and not any(_covers(Path(dep), file) for file in ran)]
    assert not idle, f"dvc.yaml: {stage} would run again for a change in files that it does not run"


def test_registry_folders_params_and_tests_name_the_same_families():
    folders = {init.parent.name for init in (ROOT / "models").glob("*/__init__.py")} - {"blocks"}
    used = {entry["family"] for section in (*KEPT, "catalog") for entry in PARAMS[section].values()}
    tested = {file.stem.removeprefix("test_") for file in (ROOT / "tests/models").glob("test_*.py")}
    contract = next(c for c in _lint_contracts() if c["type"] == "independence")
    assert set(FAMILIES) == folders == used == {name.removeprefix("models.") for name in contract["modules"]}
    assert set(FAMILIES) <= tested


def test_every_model_has_thresholds():
    for name in [name for section in (*KEPT, "catalog") for name in PARAMS[section]]:
        assert PARAMS["gate"][name]["thresholds"], f"params.yaml: gate.{name} has no thresholds"


def test_every_data_set_has_its_two_files():
    for folder in {file.parent for file in (ROOT / "data").glob("*/*.yaml")}:
        assert {"dataset.yaml", "suite.yaml"} <= {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_module_has_a_docstring_and_a_telling_name(file):
    assert file.stem not in FORBIDDEN_NAMES
    assert ast.get_docstring(ast.parse(file.read_text()))


TASK_ROOMS = ("components/tasks/", "components/pipelines/tasks/", "data/kinds.py")
"""Where tasks are known by name: what is measured of them, what people ask of them, which data they learn from."""
NOT_OF_A_TASK = {
    (
        "components/serving/v2/infer_request.py",
        "classification",
    ),  # a parameter of the Open Inference Protocol
    ("data/sources/coco.py", "segmentation"),  # a key of COCO's JSON
    (
        "components/trained/base_answers.py",
        "text_to_image",
    ),  # what bases draw of captions
}


def test_no_other_module_knows_a_task_by_its_name():
    packages = [ROOT / package for package in ("flows", "components", "data")]
    files = [
        file for package in packages for file in package.rglob("*") if file.suffix in (".py", ".js", ".html")
    ]
    found = set()
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        if not name.startswith(TASK_ROOMS):
            known = _words_of_python(file) if file.suffix == ".py" else _quoted(file)
            found |= {(name, task) for task in known & {*TASKS, *VARIANTS.values()}}
    assert found == NOT_OF_A_TASK


def _words_of_python(file: Path) -> set[str]:
    """Return the strings of a module, and the names that it imports from other modules."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    rooms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module.endswith(".tasks")]
    return strings | {alias.name for node in rooms for alias in node.names}


def _quoted(file: Path) -> set[str]:
    return set(re.findall(r"""["'`](\w+)["'`]""", file.read_text()))


def test_lock_names_versions_and_no_address():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.match(r"^[a-z0-9._-]+(\[[a-z0-9,-]+\])?==", line, re.IGNORECASE) for line in lines)


def test_training_imports_little():
    script = (
        "import components.train, models, sys; print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {
        "prefect",
        "mlflow",
        "dvc",
        "great_expectations",
        "onnxruntime",
        "pandas",
        "sklearn",
        "matplotlib",
    }
    assert not heavy & set(ast.literal_eval(done.stdout))


def _ran_by(stage: str) -> set[Path]:
    """Return the files that a stage runs, with those it imports by name: its family and its task."""
    kind = stage.partition("_")[0]
    ran = closure(f"components.{kind}", ROOT)
    by_name = [f"models.{family}" for family in FAMILIES] if kind in ("train", "evaluate", "export") else []
    if kind in ("evaluate", "export"):
        by_name += [f"components.tasks.{file.stem}" for file in (ROOT / "components/tasks").glob("[!_]*.py")]
    return ran.union(*(closure(module, ROOT) for module in by_name))


def _covers(declared: Path, file: Path) -> bool:
    """Whether ``declared``, a file or folder whose parts may be ``*``, holds ``file``."""
    if len(declared.parts) > len(file.parts):
        return False
    return all(want in ("*", part) for want, part in zip(declared.parts, file.parts, strict=False))


def _lint_contracts() -> list[dict]:
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_arrays_are_written_to_safetensors_in_one_place():
    written = re.compile(r"safetensors\.numpy import .*save")
    found = [str(file.relative_to(ROOT)) for file in SOURCES if written.search(file.read_text())]
    assert found == ["data/tensor_files.py"], (
        "safetensors writes a strided array wrongly; data/tensor_files.py does not"
    )
