"""How much faster a variant is than FP32 here and now: both in turns, in seconds that the processor worked.

Both answer in one thread, whose own time is taken: what else the machine does moves it little, and both alike.

What a variant gains depends on the processor: with VNNI or AMX one instruction multiplies and adds integers of eight
bits, without them three do. So nothing of this is in a bundle: the gate measures where it runs, and keeps it.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from components.bundles.signature import Predict

ROUNDS = 15
"""The interval is from the 4th to the 12th of as many ratios, which holds their median in 96 of 100 cases."""
_INNER = 3
LEAST_S = 0.02
"""Seconds of one turn at least: a clock that is read more often measures itself."""
_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "asimddp",
    "i8mm",
)


@dataclass(frozen=True)
class Speed:
    """A variant's images a second in those of FP32.

    Attributes:
        ratio: the median over the rounds.
        low: lower end of the median's 96 % interval.
        high: upper end.
        images_s: images a second of the variant, the median.
        fp32_images_s: those of FP32.
        batch: images of a request.
    """

    ratio: float
    low: float
    high: float
    images_s: float
    fp32_images_s: float
    batch: int

    @property
    def is_faster(self) -> bool:
        """Whether the variant is shown to be faster."""
        return self.low > 1


def in_turns(variant: Predict, fp32: Predict, inputs: Mapping[str, np.ndarray]) -> Speed:
    """Measure both, which answer in one thread, on ``inputs``, a batch of images, in turns."""
    batch = max(len(values) for values in inputs.values())
    once = max(_seconds(predict, inputs, 2) for predict in (variant, fp32))  # the first answer is slow
    repeats = max(1, round(LEAST_S / once))
    taken = [[_seconds(predict, inputs, repeats) for predict in (fp32, variant)] for _ in range(ROUNDS)]
    ratios = sorted(theirs / ours for theirs, ours in taken)
    theirs, ours = (batch / median(times) for times in zip(*taken, strict=True))
    return Speed(median(ratios), ratios[_INNER], ratios[-1 - _INNER], ours, theirs, batch)


def processor() -> dict[str, object]:
    """Return this machine's processor: its name, and which instructions it has that reduced precision gains by."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    told = dict(line.replace("\t", "").partition(": ")[::2] for line in reversed(lines) if ":" in line)
    flags = (told.get("flags") or told.get("Features") or "").split()
    name = told.get("model name", platform.processor() or platform.machine())
    return {"name": name, "flags": [flag for flag in _FLAGS if flag in flags]}


def _seconds(predict: Predict, inputs: Mapping[str, np.ndarray], repeats: int) -> float:
    """Return the seconds that this thread worked on one answer, the mean of ``repeats``."""
    began = time.thread_time()
    for _ in range(repeats):
        predict(inputs)
    return (time.thread_time() - began) / repeats
