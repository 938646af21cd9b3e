"""How much faster one of two graphs is, in turns; and what the processor is."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from components.variants import speed

INPUTS = {"image": np.zeros((8, 1), np.uint8)}


def takes(seconds: float):
    def predict(_):
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        return {}

    return predict


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(speed, "LEAST_S", 0.008)


def test_what_takes_half_the_time_is_twice_as_fast():
    found = speed.in_turns(takes(0.002), takes(0.004), INPUTS)
    assert found.is_faster and found.low <= found.ratio <= found.high and 1.5 < found.ratio < 2.5
    assert found.batch == 8 and found.fp32_images_s < 2000 and found.fp32_images_s < found.images_s < 4000


def test_what_is_slower_is_not_faster():
    assert not speed.in_turns(takes(0.004), takes(0.002), INPUTS).is_faster


def test_the_processor_says_what_linux_says():
    told = speed.processor()
    table = Path("/proc/cpuinfo")
    text = table.read_text() if table.exists() else ""
    assert all(f" {flag}" in text for flag in told["flags"])
    assert told["name"] and ("avx2" in told["flags"]) == (" avx2" in text)
