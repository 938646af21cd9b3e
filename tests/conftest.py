"""Tests import ONNX Runtime and the other tools themselves: their telemetry is off before."""

import data.telemetry  # noqa: F401
