"""``tritonclient.grpc`` works unchanged, with the protobuf that it wants; each family is in ``test_every_family``."""

from __future__ import annotations

import google.protobuf
import pytest

from tests.components.serving import bundles
from tests.components.serving.grpc import standard

pytestmark = pytest.mark.slow


def test_every_signature(both, tmp_path):
    python = standard.environment(tmp_path / "environment")
    questions = {kind: bundles.example(kind, 3, seed=2) for kind in bundles.SIGNATURES}
    told, answers = standard.ask(python, both.address["grpc_port"], tmp_path / "asked", questions)
    assert told["live"] and told["server"] == "darkroom"
    assert told["ready"] == dict.fromkeys(questions, True)
    status, message = told["refused"]
    assert status == "StatusCode.NOT_FOUND" and message.startswith("no model 'nothing'")
    assert told["protobuf"].partition(".")[0] < google.protobuf.__version__.partition(".")[0]
    for kind, given in questions.items():
        standard.check(answers[kind], bundles.answers(kind, given), kind)
