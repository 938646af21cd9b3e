"""What a stage needs of a node of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from components.project.sections import Params

ON_DEVICE = ("train", "evaluate")
"""Kinds of stages for which ``device`` of a model counts, and what ``resources:`` says of it."""

TOUCH = 0.001
"""How much a stage takes of the resource that ``where`` names: it marks nodes, and has no quantity."""


class Demand(NamedTuple):
    """What a stage needs, in the words of Ray.

    Attributes:
        cpus: cores.
        gpus: GPUs.
        memory: bytes.
        where: a resource that marks nodes; empty for any node.
    """

    cpus: int
    gpus: float
    memory: float
    where: str

    def resources(self) -> dict[str, float]:
        """Return the quantities by Ray's names, without those of which nothing is needed."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return {name: value for name, value in named.items() if value} | (
            {self.where: TOUCH} if self.where else {}
        )

    def fits(self, node: Mapping[str, float]) -> bool:
        """Whether a node with these resources could hold it if it held nothing else."""
        return all(node.get(name, 0) >= value for name, value in self.resources().items())


def of_stage(settings: Params, kind: str, item: str, *, cpus: int, has_gpus: bool) -> Demand:
    """Return what the stage ``kind@item`` needs.

    Args:
        settings: of the project.
        kind: as ``train``.
        item: a model or data set.
        cpus: cores that it keeps busy.
        has_gpus: whether the cluster has any GPU, as ``device: auto`` asks.
    """
    said = {}
    for name in (kind, item) if kind in ON_DEVICE else (kind,):
        if name in settings.resources:
            said |= settings.resources[name].model_dump(exclude_unset=True)
    gpus = said.get("gpus")
    if gpus is None and kind in ON_DEVICE:
        entry = settings.model(item)
        takes_one = entry.device == "cuda" or (entry.device == "auto" and has_gpus)
        gpus = (entry.gpus if kind == "train" else 1) if takes_one else 0
    return Demand(cpus, gpus or 0, said.get("memory_gb", 0) * 1e9, said.get("where", ""))
