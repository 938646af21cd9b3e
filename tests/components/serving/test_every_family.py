"""Every family's exported graph, as the standard client sees it: the answers are those of ONNX Runtime alone."""

from __future__ import annotations

import numpy as np
import pytest
import tritonclient.http as triton

import models
from components import export, tasks
from components.bundles.onnx_session import OnnxGraph
from components.trained.torch_model import arguments
from models.registry import FAMILIES
from tests.components.serving import bundles
from tests.components.serving.server import Server
from tests.components.serving.test_tritonclient import ask
from tests.models import tiny
from tests.models.conftest import (  # noqa: F401 -- fixtures
    digit_captions,
    digit_edges,
    digit_lines,
    digit_negatives,
    digit_scenes,
    digit_sketches,
    digits,
    faces,
    suitable,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(suitable, tmp_path_factory):  # noqa: F811
    """A bundle of each family, trained a little: name to folder, and to questions with their answers."""
    folders, known = {}, {}
    for family in FAMILIES:
        module = models.family(family)
        data = suitable(family)
        graph = module.graph(tiny.fitted(family, data)[0])
        task = tasks.of(module.TASK, arguments(graph))
        inputs, outputs = signature = task.signature(data.spec)
        content = export.convert(graph, task, data)
        folder = folders[family] = tmp_path_factory.mktemp("families") / family
        folder.mkdir()
        (folder / "graph.onnx").write_bytes(content)
        predict = OnnxGraph(folder / "graph.onnx", content, inputs, outputs).predict
        given = task.inputs(data, "test", 0, 3)
        known[family] = given, predict(given)
        classes = list(data.spec.classes)
        bundles.wrap(folder, content, module.TASK, signature, *known[family], classes=classes)
    return folders, known


def test_every_family(exported, tmp_path):
    folders, known = exported
    settings = {"bundles": {family: str(folder) for family, folder in folders.items()}}
    with Server(tmp_path, worker=settings) as server:
        assert server.address["models"] == len(FAMILIES), server.log.read_text()
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=120) as client:
            for family, (given, expected) in known.items():
                answers = ask(client, family, given)
                for name, values in expected.items():
                    if values.dtype == object:
                        assert [text.decode() for text in answers[name]] == values.tolist(), family
                    else:
                        np.testing.assert_allclose(
                            answers[name], values, rtol=1e-4, atol=1e-4, err_msg=family
                        )


def test_every_family_over_grpc(exported, tmp_path):
    from tests.components.serving.grpc import standard

    folders, known = exported
    bundled = {family: str(folder) for family, folder in folders.items()}
    python = standard.environment(tmp_path / "environment")
    with Server(tmp_path, worker={"bundles": bundled, "grpc_port": 0}) as server:
        assert server.address["models"] == len(FAMILIES), server.log.read_text()
        questions = {family: given for family, (given, _) in known.items()}
        port = server.address["grpc_port"]
        _, answers = standard.ask(python, port, tmp_path / "asked", questions)
    for family, (_, expected) in known.items():
        standard.check(answers[family], expected, family)
