"""A container's share of its machine is seen, by either version of control groups."""

from __future__ import annotations

import pytest

from data import cores


@pytest.fixture(autouse=True)
def machine(groups, monkeypatch):
    """The process may run on 64 cores."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)


V1 = "12:cpuset:/\n4:cpu,cpuacct:/docker/a\n2:memory:/docker/a\n0::/\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {}, 64),
        ("0::/pod/main\n", {"pod/main/cpu.max": "max 100000\n", "pod/cpu.max": "400000 100000\n"}, 4),
        ("0::/pod/main\n", {"pod/main/cpu.max": "300000 100000\n", "pod/cpu.max": "400000 100000\n"}, 3),
        ("0::/../host/path\n", {"cpu.max": "200000 100000\n"}, 2),
        (V1, {"cpu,cpuacct/docker/a/cpu.cfs_quota_us": "-1", "cpu,cpuacct/docker/a/cpu.cfs_period_us": "100000"}, 64),
        (V1, {"cpu,cpuacct/docker/a/cpu.cfs_quota_us": "50000", "cpu,cpuacct/docker/a/cpu.cfs_period_us": "25000"}, 2),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),
    ],
)  # fmt: skip
def test_the_least_limit_holds(groups, own, files, expected):
    groups(own, files)
    assert cores.available() == expected


def test_without_control_groups_the_cores_are_those_it_may_run_on(groups):
    assert cores.available() == 64
