"""DVC that parses and hashes once: what it says is what it says by itself, also after an edit."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.output import Output
from dvc.repo import Repo
from dvc.utils import strictyaml
from dvc.utils.serialize import YAMLFileCorruptedError, _yaml, load_yaml

from flows.stages import dag, fork_server, read_once
from flows.stages.process import StageProcess


@pytest.fixture(autouse=True)
def _put_back(monkeypatch):
    """Let DVC be itself again after the test."""
    for owner, name in ((strictyaml, "parse_yaml"), (strictyaml, "validate"), (_yaml, "parse_yaml")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(_yaml, "_parsed_once", {}, raising=False)
    monkeypatch.setattr(_yaml, "_checked_once", set(), raising=False)


def test_a_text_is_parsed_once_and_each_gets_its_own(tmp_path, monkeypatch):
    texts = []
    parse = _yaml.parse_yaml
    monkeypatch.setattr(_yaml, "parse_yaml", lambda text, path: texts.append(text) or parse(text, path))
    read_once.parse_once()
    file = tmp_path / "file.yaml"
    for text in ("a: [1]", "a: [1]", "a: [2]", "a: [1]"):
        file.write_text(text)
        read = load_yaml(str(file))
        assert read == {"a": [int(text[4])]}
        read["a"].append("of another")
    assert texts == ["a: [1]", "a: [2]"]
    file.write_text("a: [")
    for _ in range(2):
        with pytest.raises(YAMLFileCorruptedError):
            load_yaml(str(file))


def test_what_does_not_fit_is_told_each_time(toy):
    Path("dvc.yaml").write_text(f"{Path('dvc.yaml').read_text()}no-such-key: 1\n")
    read_once.parse_once()
    for _ in range(2):
        with pytest.raises(strictyaml.YAMLValidationError):
            _ = Repo(".").index.stages
    Path("dvc.yaml").write_text(Path("dvc.yaml").read_text().replace("no-such-key: 1\n", ""))
    assert len(Repo(".").index.stages) == 3


def test_a_dep_is_hashed_once_until_dvc_lets_go(toy, monkeypatch):
    hashed = []
    build = Output._build
    monkeypatch.setattr(
        Output, "_build", lambda self, *given, **more: hashed.append(str(self)) or build(self, *given, **more)
    )
    repo = Repo(".")
    deps = [dep for stage in repo.index.stages for dep in stage.deps if str(dep) == "stage.sh"]
    with read_once.hash_once():
        first = {dep.get_hash().value for dep in deps}
        assert len(deps) == 3 and len(first) == 1 and hashed == ["stage.sh"]
        Path("stage.sh").write_text("cat source-digits  # edited")
        repo._reset()
        assert first.isdisjoint({dep.get_hash().value for dep in deps})
        assert hashed == ["stage.sh"] * 2
    assert deps[0].get_hash() == deps[1].get_hash() and hashed == ["stage.sh"] * 4


def test_what_a_fork_server_has_read_may_be_edited(toy):
    definition, command = Path("dvc.yaml").read_text(), "sh stage.sh ingest ${key}"
    with fork_server.serve(Path("run"), dag.read()):
        for text, made in ((command, "0"), ("echo one", "one\n"), ("echo two", "two\n")):
            Path("dvc.yaml").write_text(definition.replace(command, text))
            process = StageProcess("ingest@digits", Path("log"), {}, programs=fork_server.programs())
            assert process.run(60) == "ran"
            assert Path("out/ingest-digits").read_text() == made
