"""How many cores this process has: those that it may run on, and no more than its container is given time of.

A container that is limited to one core still sees all cores of its machine, and would be throttled most of the time
with a thread for each. The limit is in the files of its control group, of version 2 or 1, and of the groups above.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress

from data import control_groups


def available() -> int:
    """Return the number of cores, at least 1; a part of a core counts as one."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no such call
        cores = os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _quotas())]))


def _quotas() -> Iterator[float]:
    """Yield each limit that holds for this process, in cores."""
    for folder in control_groups.folders("cpu"):
        with suppress(OSError, ValueError):  # not there, or "max"
            quota, period = (folder / "cpu.max").read_text().split()
            yield int(quota) / int(period)
        with suppress(OSError, ValueError):
            quota = int((folder / "cpu.cfs_quota_us").read_text())
            if quota > 0:  # -1 is no limit
                yield quota / int((folder / "cpu.cfs_period_us").read_text())
