"""How much memory a process can still have, on a machine and in a container."""

from __future__ import annotations

import sys

import pytest

from data import memory

MIB = 2**20
V1 = "2:memory:/docker/a\n0::/\n"
STAT = f"anon 1\ninactive_file {3 * MIB}\nactive_file {2 * MIB}\n"


@pytest.fixture
def machine(groups, tmp_path, monkeypatch):
    """Write what a machine of 100 MiB says; give the function that writes what its control groups do."""
    monkeypatch.setattr(memory, "_MACHINE", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 999999 kB\nMemFree: 1 kB\nMemAvailable: 102400 kB\n")
    return groups


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {}, 100),
        ("0::/\n", {"memory.max": "max", "memory.current": str(9 * MIB)}, 100),
        ("0::/\n", {"memory.max": str(40 * MIB), "memory.current": str(9 * MIB)}, 31),
        ("0::/\n", {"memory.max": str(40 * MIB), "memory.current": str(9 * MIB), "memory.stat": STAT}, 36),
        ("0::/\n", {"memory.max": str(400 * MIB), "memory.current": str(9 * MIB)}, 100),
        ("0::/\n", {"memory.max": str(40 * MIB), "memory.current": str(41 * MIB)}, 0),
        ("0::/pod/a\n", {"pod/memory.max": str(30 * MIB), "pod/memory.current": str(10 * MIB)}, 20),
        (
            V1,
            {
                "memory/docker/a/memory.limit_in_bytes": str(30 * MIB),
                "memory/docker/a/memory.usage_in_bytes": str(4 * MIB),
            },
            26,
        ),
    ],
)
def test_the_least_limit_holds(machine, own, files, expected):
    machine(own, files)
    assert memory.available() == expected * MIB


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 100),
        ({"memory.max": "max", "memory.current": str(9 * MIB)}, 100),
        ({"memory.max": str(40 * MIB), "memory.current": str(9 * MIB)}, 40),
        ({"memory.max": str(400 * MIB), "memory.current": str(9 * MIB)}, 100),
    ],
)
def test_a_container_has_no_more_than_its_limit(machine, tmp_path, files, expected):
    (tmp_path / "meminfo").write_text("MemTotal: 102400 kB\nMemAvailable: 1 kB\n")
    machine("0::/\n", files)
    assert memory.total() == expected * MIB


def test_where_nobody_tells_there_is_no_limit(machine, tmp_path):
    (tmp_path / "meminfo").unlink()
    assert memory.available() == memory.total() == sys.maxsize
