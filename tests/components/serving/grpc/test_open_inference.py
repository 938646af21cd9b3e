"""The messages are those of the protocol's definition, and our protobuf is one that takes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[4]
PROTO = Path("components/serving/grpc/open_inference_grpc.proto")


@pytest.mark.parametrize("proto", [PROTO, PROTO.with_name("health.proto")], ids=lambda proto: proto.stem)
def test_the_messages_are_written_from_the_definition(tmp_path, proto):
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", str(proto)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    written = proto.with_name(f"{proto.stem}_pb2.py")
    assert (ROOT / written).read_text() == (tmp_path / written).read_text()


def test_the_definition_keeps_its_notice():
    text = (ROOT / PROTO).read_text()
    assert "Copyright 2023 The KServe Authors" in text and "Apache License, Version 2.0" in text


def test_every_method_of_the_service_is_answered():
    from components.serving.grpc.methods import methods
    from components.serving.grpc.open_inference_grpc_pb2 import DESCRIPTOR

    (service,) = DESCRIPTOR.services_by_name.values()
    asked = {method.name: method.asked.DESCRIPTOR for method in methods(SimpleNamespace(repository=None))}
    assert asked == {method.name: method.input_type for method in service.methods}
