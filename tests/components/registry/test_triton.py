"""What ``darkroom export-triton`` writes: parsed by Triton's own message definition, and whole whenever it is read."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from components import register
from components.bundles.bundle import Bundle
from components.project.sections import ServePolicy
from components.registry import triton, versions
from data import atomic
from data.errors import UserError
from tests.components import workspace

GATE = {"thresholds": {"accuracy": {"at_least": 0.0}}}


@pytest.fixture(scope="module")
def parse():
    """Return the parser of ``config.pbtxt``: protobuf's own, with the ``ModelConfig`` that Triton's client carries."""
    from google.protobuf import text_format

    package = importlib.util.find_spec("tritonclient")
    file = Path(package.submodule_search_locations[0]) / "grpc/model_config_pb2.py"
    # By its file: the package beside it would import grpc.
    spec = importlib.util.spec_from_file_location("model_config_pb2", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda path: text_format.Parse(path.read_text(), module.ModelConfig())


def promoted(name: str = "m", **settings) -> Bundle:
    """Export, register and promote a version without asking the gate; return its bundle."""
    workspace.export(name, **settings)
    versions.point(name, "champion", register.run(name).version)
    return versions.fetch(versions.champion(name))


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        ("classification", {"probabilities": [3]}),
        ("density", {"log_likelihood": [1], "probabilities": [3]}),
        ("generation", {"image": [-1, 4, 4, 1]}),
    ],
)
def test_the_configuration_is_tritons_and_has_the_graphs_tensors(sqlite_project, parse, task, outputs):
    workspace.write_params({"m": GATE}, task=task)
    bundle = promoted(task=task)
    (exported,) = triton.run(Path("repository"))
    assert (exported.name, exported.version, exported.written) == ("m", 1, True)
    config = parse(Path("repository/m/config.pbtxt"))
    assert (config.name, config.backend, list(config.version_policy.specific.versions)) == (
        "m",
        "onnxruntime",
        [1],
    )
    assert {tensor.name: list(tensor.dims) for tensor in config.output} == outputs
    assert config.parameters["bundle_sha256"].string_value == bundle.sha256
    batched = task != "generation"
    assert (config.max_batch_size > 0) == config.HasField("dynamic_batching") == batched
    graph = onnxruntime.InferenceSession("repository/m/1/model.onnx")
    for tensors, nodes in ((config.input, graph.get_inputs()), (config.output, graph.get_outputs())):
        assert [tensor.name for tensor in tensors] == [node.name for node in nodes]
        for tensor, node in zip(tensors, nodes, strict=True):
            dims = list(tensor.reshape.shape) if tensor.HasField("reshape") else list(tensor.dims)
            shape = [size if isinstance(size, int) else -1 for size in node.shape]
            assert ([-1, *dims] if batched else dims) == shape


def test_labels_are_named_in_their_order(sqlite_project, parse):
    workspace.write_params({"m": GATE})
    promoted()
    triton.run(Path("repository"))
    (output,) = parse(Path("repository/m/config.pbtxt")).output
    assert (Path("repository/m") / output.label_filename).read_text().splitlines() == list(workspace.CLASSES)


def test_a_new_champion_is_added_and_a_rollback_moves_the_policy_alone(sqlite_project, parse):
    workspace.write_params({"m": GATE})
    first = promoted()
    triton.run(Path("repository"))
    promoted(noise=0.1, seed=1)
    assert triton.run(Path("repository"))[0].written
    assert sorted(path.name for path in Path("repository/m").iterdir()) == [
        "1",
        "2",
        "config.pbtxt",
        "labels.txt",
    ]
    assert list(parse(Path("repository/m/config.pbtxt")).version_policy.specific.versions) == [2]
    assert not triton.run(Path("repository"))[0].written
    versions.point("m", "champion", 1)
    before = Path("repository/m/1/model.onnx").stat().st_mtime_ns
    assert triton.run(Path("repository"))[0].written
    assert Path("repository/m/1/model.onnx").stat().st_mtime_ns == before
    assert list(parse(Path("repository/m/config.pbtxt")).version_policy.specific.versions) == [1]
    asked, expected = first.golden()
    session = onnxruntime.InferenceSession("repository/m/1/model.onnx")
    np.testing.assert_allclose(session.run(["probabilities"], asked)[0], expected["probabilities"], atol=1e-6)


def test_what_is_not_whole_is_never_named(sqlite_project, parse, monkeypatch):
    workspace.write_params({"m": GATE})
    promoted()
    triton.run(Path("repository"))
    promoted(noise=0.1, seed=1)
    write = atomic.write_text

    def killed(path, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        triton.run(Path("repository"))
    assert list(parse(Path("repository/m/config.pbtxt")).version_policy.specific.versions) == [1]
    monkeypatch.setattr(atomic, "write_text", write)
    triton.run(Path("repository"))
    assert list(parse(Path("repository/m/config.pbtxt")).version_policy.specific.versions) == [2]


def test_mistakes_are_told(sqlite_project):
    workspace.write_params({"m": GATE})
    with pytest.raises(UserError, match="no champion yet: nothing to export"):
        triton.run(Path("repository"))
    workspace.export()
    register.run("m")
    with pytest.raises(UserError, match=r"m: no champion yet\. Promote a version first: darkroom promote m"):
        triton.run(Path("repository"), ["m"])
    with pytest.raises(UserError, match="n: no registered model of that name"):
        triton.run(Path("repository"), ["n"])
    versions.point("m", "champion", 1)
    atomic.write_bytes(Path("repository/m/1/model.onnx"), b"another graph")
    with pytest.raises(UserError, match=r"repository/m/1/model.onnx: is not this version's graph"):
        triton.run(Path("repository"))


def test_the_bounds_of_serve_hold_here_too(sqlite_project, parse):
    workspace.write_params({"m": GATE})
    promoted()
    triton.run(Path("repository"), bounds={"m": ServePolicy(max_batch=8, max_rows=3)})
    config = parse(Path("repository/m/config.pbtxt"))
    assert config.max_batch_size == 8 and config.HasField("dynamic_batching")
