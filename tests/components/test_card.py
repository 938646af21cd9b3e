"""A card tells each fact that is on record of a version, says what is not, and is the same for the same record."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import yaml

from components import card, gate, register
from components.bundles.bundle import sha256
from components.datasets.slices import Slices
from components.evaluation import by_slice
from components.metrics.paired import Scores
from components.project import layout
from components.promotion import champion
from components.registry import mlflow_store, versions
from data import atomic
from data.errors import UserError
from tests.components import workspace

LICENCE = {"name": "zoo", "source": "zoo/net@abc", "sha256": "7" * 64, "licence": "CC-BY-4.0"}


def _register(least: float = 0.7, **settings) -> None:
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": least}}}})
    workspace.export(**settings)
    register.run("m")


def _front_matter(text: str) -> dict:
    _, front, _ = text.split("---\n", 2)
    return yaml.safe_load(front)


def _section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _edit(path, **values) -> None:
    atomic.write_json(path, json.loads(path.read_text()) | values)


def _sliced() -> dict:
    """Measure two slices of 300 test images, as evaluate does."""
    members = np.zeros((300, 2), bool)
    members[:100, 0] = members[200:, 1] = True
    slices = Slices(
        [str(k) for k in range(300)], {"dark": "brightness at most .3", "site=b": "site"}, members
    )
    return by_slice.measure(Scores("accuracy", "higher", np.arange(300) % 4 > 0), slices)


def test_each_fact_on_record_is_in_the_card(sqlite_project, answered_here):
    workspace.export()
    _edit(layout.bundle("m") / "bundle.json", pretrained=LICENCE, primary="accuracy")
    sliced = _sliced()
    _edit(
        layout.evaluated("m") / "metrics.json",
        slices=sliced,
        challenge_sets=sliced | {"metric": "log_loss", "left_out": {"night": 2}},
    )
    held = {"type": "expect_x", "says": "labels are known", "arguments": {"column": "label"}, "success": True}
    _edit(layout.validation_file("shapes"), expectations=[held])
    checkpoint = {
        "config": {"rate": 0.25},
        "seed": 3,
        "steps": 41,
        "best": {"metric": "accuracy", "value": 0.5},
    }
    atomic.write_json(layout.trained("m") / "checkpoint.json", checkpoint)
    atomic.write_bytes(layout.trained("m") / "model.safetensors", b"weights")
    told = {"seconds": 12.5, "images_per_second": 77.0, "device": "cpu", "processor": "a processor"}
    weights = hashlib.sha256(b"weights").hexdigest()
    atomic.write_json(layout.timing("m"), told | {"weights_sha256": weights})
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.7}}}})
    (sqlite_project / "dvc.lock").write_text("schema: '2.0'\n")
    register.run("m")
    gate.run("m")

    text, version = card.run("m"), versions.champion("m")
    front = _front_matter(text)
    assert {"license", "library_name", "tags", "metrics", "model-index"} <= front.keys()
    (result,) = front["model-index"][0]["results"]
    measured = json.loads((layout.evaluated("m") / "metrics.json").read_text())
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        name: metric["value"] for name, metric in measured["metrics"].items()
    }
    description = json.loads((layout.bundle("m") / "bundle.json").read_text())
    assert (result["dataset"]["name"], result["dataset"]["revision"]) == ("shapes", description["data"])

    for title, facts in {
        "Model": [
            "`logreg`",
            "| steps of training | 41 |",
            "| seed | 3 |",
            "`rate` | `0.25`",
            "`[-1, 4, 4, 1]`",
        ],
        "Data": [
            "train `60`, validation `30`, test `300`",
            "labels are known",
            "`content`",
            "`" + "5" * 64 + "`",
        ],
        "Metrics": [f"{measured['metrics']['log_loss']['low']:.6g}", "300 examples", "| bar | 100 |"],
        "Slices": ["`site=b`", "brightness at most .3", f"{sliced['rows'][0]['high']:.6g}"],
        "Challenge sets": ["`log_loss`", "2 images of `night` are left out"],
        "Limits": ["height `4`", "ONNX IR 9", "opset 18 of `ai.onnx`"],
        "Parity": ["batch of 1", "`probabilities`", "4 golden examples"],
        "Training": ["a processor", "| 12.5 |", "| 77 |"],
        "Base weights": ["zoo/net@abc", "CC-BY-4.0", "`" + "7" * 64 + "`"],
        "Lineage": [version.bundle_sha256, version.tags["dvc_lock_sha256"], *description["sha256"].values()],
        "Gate": ["at least 0.7", "`parity` | yes"],
        "Ledger": ["decision: promoted | 1", "promotion | 1"],
    }.items():
        assert [fact for fact in facts if fact not in _section(text, title)] == [], title
    assert card.run("m") == text


def test_what_is_not_on_record_is_said_to_be_unknown_until_somebody_writes_it(sqlite_project):
    _register()
    text = card.run("m")
    assert _front_matter(text)["license"] == "unknown"
    for title in ("Slices", "Challenge sets", "Training", "Gate"):
        assert "unknown: " in _section(text, title), title
    assert "unknown: the tag `card.intended_purpose`" in text
    for key, value in {"license": "mit", "intended_purpose": "to sort | shapes"}.items():
        mlflow_store.client().set_model_version_tag("m", "1", f"card.{key}", value)
    text = card.run("m")
    assert _front_matter(text)["license"] == "mit"
    assert "intended purpose: to sort \\| shapes;" in text


def test_a_version_of_an_older_release_has_a_card(sqlite_project):
    _register()
    for file in ("making", "recipe"):
        (made,) = sqlite_project.glob(f"**/artifacts/source/{file}.json")
        made.unlink()
    text = card.run("m")
    assert "examples | unknown: " in _section(text, "Data")
    assert sha256(layout.bundle("m")) in _section(text, "Lineage")


def test_the_ledger_tells_of_one_version_and_of_what_took_its_place(sqlite_project, answered_here):
    _register()
    gate.run("m")
    _register(seed=1)
    gate.run("m", waiver=gate.Waiver("ada", "a show"), by="ada")
    champion.rollback("m", None, by="ada", reason="it <ended>")
    first, second = (_section(card.run("m", number), "Ledger") for number in (1, 2))
    assert "a show" not in first.partition("promotion | 2")[0]
    assert "rollback | 1 | 2 | ada | it \\<ended\\>" in first
    assert "rollback | 1 | 2 | ada" in second
    assert "earlier versions | 1 |" in card.run("m", 2)


def test_a_version_that_there_is_not_is_told(sqlite_project):
    with pytest.raises(UserError, match="no registered model of that name"):
        card.run("m")
    _register()
    with pytest.raises(UserError, match=r"no version 9\. Its versions: 1"):
        card.run("m", 9)


@pytest.mark.parametrize("task", ["density", "generation"])
def test_a_model_of_another_task_has_a_card(sqlite_project, task):
    workspace.write_params({}, task=task)
    workspace.export(task=task)
    described = json.loads((layout.bundle("m") / "bundle.json").read_text())
    register.run("m")
    text = card.run("m")
    assert _front_matter(text)["metrics"] == [*described["metrics"]]
    assert [
        one["name"] for one in described["inputs"] if f"`{one['name']}`" not in _section(text, "Model")
    ] == []
    assert described.get("judge", "") in _section(text, "Metrics")
    assert ("unknown: " in _section(text, "Slices")) == ("judge" not in described)
