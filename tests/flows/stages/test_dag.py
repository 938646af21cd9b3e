"""The DAG is DVC's: its stages, its order, its word on what changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.project import params
from data.errors import UserError
from flows.stages import dag

ROOT = Path(__file__).parents[3]


def _addresses(stages: list[dag.Stage]) -> list[str]:
    return [stage.address for stage in stages]


def test_upstream_comes_first(toy):
    stages = dag.read()
    assert _addresses(stages) == ["ingest@digits", "train@one", "train@two"]
    assert stages[1].upstream == ("ingest@digits",)
    assert (stages[1].kind, stages[1].item) == ("train", "one")
    assert toy / "out/train-one" in stages[1].paths
    assert toy / "out/ingest-digits" in stages[1].paths


def test_a_section_of_params_does_not_change_what_a_stage_is_called(toy):
    text = Path("dvc.yaml").read_text()
    Path("dvc.yaml").write_text(
        text
        + "  train_fine_tuned:\n    foreach: [three]\n    do:\n      cmd: date > out/three\n"
        + "      deps: [out/train-one]\n      outs: [out/three]\n"
    )
    found = {stage.address: stage for stage in dag.read()}
    assert found["train@three"].name == "train_fine_tuned@three"
    assert (found["train@three"].kind, found["train@three"].item) == ("train", "three")
    assert found["train@three"].upstream == ("train@one",)
    assert _addresses(dag.select(found.values(), ["three"])) == ["ingest@digits", "train@one", "train@three"]
    assert "train@three" in dag.Project().changed(found.values())


def test_only_what_a_judge_measures_waits_for_one(monkeypatch):
    monkeypatch.chdir(ROOT)
    stages = dag.read()
    judged = {stage.item for stage in stages if any(up.startswith("judge@") for up in stage.upstream)}
    settings = params.load()
    assert judged == {*settings.generators, *settings.fine_tuned}
    assert {stage.item for stage in stages if stage.kind == "judge"} == {*settings.judges}
    assert not any(stage.kind == "judge" for stage in dag.select(stages, [*settings.models]))


def test_a_section_that_is_missing_is_named(toy):
    text = Path("dvc.yaml").read_text()
    more = '  judge:\n    foreach: ${judges}\n    do:\n      cmd: date > out/${item}\n      outs: ["out/${item}"]\n'
    Path("dvc.yaml").write_text(text + more)
    with pytest.raises(UserError, match=r"params.yaml: judges: is missing.*put there: judges: \[\]"):
        dag.read()


def test_select_takes_what_is_upstream(toy):
    assert _addresses(dag.select(dag.read(), ["two"])) == ["ingest@digits", "train@two"]


def test_labels_are_looked_at_beside_what_is_selected(toy):
    text = Path("dvc.yaml").read_text()
    more = "  labels:\n    foreach: [digits]\n    do:\n      cmd: date > out/labels\n"
    Path("dvc.yaml").write_text(text + more + "      deps: [out/ingest-digits]\n      outs: [out/labels]\n")
    stages = dag.read()
    chosen = dag.select(stages, ["two"])
    assert _addresses(chosen) == ["ingest@digits", "train@two"]
    assert sorted(_addresses(dag.with_labels(stages, chosen))) == [
        "ingest@digits",
        "labels@digits",
        "train@two",
    ]
    assert dag.with_labels(stages, []) == []


def test_select_names_the_nearest_model(toy):
    with pytest.raises(UserError, match=r"no model 'tow'.*Did you mean 'two'"):
        dag.select(dag.read(), ["tow"])


def test_changed_is_dvc_s_word(toy):
    everything = {"ingest@digits", "train@one", "train@two"}
    assert dag.Project().changed(dag.read()) == everything
    subprocess.run(["dvc", "repro", "-q"], check=True)
    assert dag.Project().changed(dag.read()) == set()
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("two: {family: cnn,", "two: {family: cnn, seed: 1,"))
    assert dag.Project().changed(dag.read()) == {"train@two"}
    Path("out/train-one").write_text("touched")
    assert dag.Project().changed(dag.read()) == {"train@one", "train@two"}


def test_a_broken_dvc_yaml_is_a_message(toy):
    Path("dvc.yaml").write_text("stages: {train: {cmdd: x}}")
    with pytest.raises(UserError, match=r"dvc\.yaml"):
        dag.read()
